//! The process itself, under the names that Prometheus's own libraries use: processor time, memory, open files, threads.
//! It is read from `/proc` where there is one; elsewhere these families are left out.

use std::fs;

use crate::engine::metrics::text::{Decimal, Exposition, Kind};

/// Writes what is known of the process.
pub fn show(into: &mut Exposition) {
    if let Some(stat) = Stat::read() {
        stat.show(into);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory itself.
        let open = entries.count().saturating_sub(1);
        into.single(
            "process_open_fds",
            Kind::Gauge,
            ("Number of open file descriptors.", open),
        );
    }
    if let Some(limit) = file_limit() {
        into.single(
            "process_max_fds",
            Kind::Gauge,
            ("Maximum number of open file descriptors.", limit),
        );
    }
}

struct Stat {
    processor_us: u64,
    threads: u64,
    start_ms: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name before the parenthesis may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // The first of these is the third of the file.
        let field = |number: usize| -> Option<u64> { fields.get(number.checked_sub(3)?)?.parse().ok() };
        let ticks_a_second = rustix::param::clock_ticks_per_second().max(1);
        let micros = |ticks: u64| ticks.saturating_mul(1_000_000) / ticks_a_second;
        Some(Self {
            processor_us: micros(field(14)?.saturating_add(field(15)?)),
            threads: field(20)?,
            start_ms: boot_s()?.saturating_mul(1000).saturating_add(micros(field(22)?) / 1000),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)?.saturating_mul(rustix::param::page_size() as u64),
        })
    }

    fn show(&self, into: &mut Exposition) {
        let seconds = Decimal::seconds_of_us(self.processor_us);
        let help = "Total user and system CPU time spent in seconds.";
        into.single("process_cpu_seconds_total", Kind::Counter, (help, seconds));
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                self.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                self.virtual_bytes,
            ),
            ("process_threads", "Number of threads.", self.threads),
        ] {
            into.single(name, Kind::Gauge, (help, value));
        }
        let help = "Start time of the process since unix epoch in seconds.";
        let start = Decimal::seconds_of_ms(self.start_ms);
        into.single("process_start_time_seconds", Kind::Gauge, (help, start));
    }
}

/// When the machine started, in unix seconds.
fn boot_s() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line?.trim().parse().ok()
}

fn file_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line?.split_whitespace().next()?.parse().ok()
}
