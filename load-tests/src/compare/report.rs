//! The result of a comparison, and the targets that it is held against.

use serde::Serialize;

use super::books::Books;
use super::idle::IdleStreams;
use super::lane::{Figures, Lane};
use super::scenario::{Scenario, ScenarioResult};

/// Everything that was measured; this is what the JSON file holds.
#[derive(Serialize)]
pub struct Report {
    pub started_at: String,
    pub machine: Machine,
    pub key_count: usize,
    pub rounds: usize,
    pub round_ms: u64,
    pub connection_count: usize,
    pub rate_per_second: u32,
    pub scenarios: Vec<ScenarioResult>,
    pub idle_streams: Vec<IdleStreams>,
    pub targets: Vec<Target>,
    pub books: Option<Books>,
}

/// What it was measured on.
#[derive(Serialize)]
pub struct Machine {
    pub processor: String,
    pub core_count: usize,
}

/// A figure that Caldera is meant to reach.
#[derive(Serialize)]
pub struct Target {
    pub name: &'static str,
    pub measured: String,
    pub wanted: &'static str,
    pub met: bool,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            processor: line.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            core_count: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Report {
    /// The medians of one lane in one scenario.
    pub fn median(&self, scenario: Scenario, lane: Lane) -> Option<&Figures> {
        self.scenarios
            .iter()
            .find(|result| result.scenario == scenario)?
            .median(lane)
    }

    /// Holds what was measured against the targets; nothing where Caldera did not run.
    pub fn judge(&mut self) {
        let targets = [
            self.processor_target(),
            self.added_target(
                "added latency p50 at the constant rate",
                "at most 0.5 ms",
                Quantile::P50,
            ),
            self.added_target("added latency p99 at the constant rate", "at most 3 ms", Quantile::P99),
            self.hot_key_target(),
            self.memory_target(),
            self.idle_target(),
        ];
        self.targets = targets.into_iter().flatten().collect();
    }

    fn processor_target(&self) -> Option<Target> {
        let caldera = self.median(Scenario::ManyKeys, Lane::Caldera)?.cpu_nanos;
        let pass_through = self.median(Scenario::ManyKeys, Lane::PassThrough)?.cpu_nanos;
        let percent = percent(caldera, pass_through);
        Some(Target {
            name: "processor time of the pass-through's",
            measured: times(percent),
            wanted: "at most 2.00 x",
            met: percent <= 200,
        })
    }

    fn added_target(&self, name: &'static str, wanted: &'static str, quantile: Quantile) -> Option<Target> {
        let caldera = quantile.of(self.median(Scenario::ConstantRate, Lane::Caldera)?);
        let direct = quantile.of(self.median(Scenario::ConstantRate, Lane::Direct)?);
        let added = caldera.saturating_sub(direct);
        Some(Target {
            name,
            measured: format!("{} ms", thousandths(added / 1000)),
            wanted,
            met: added <= quantile.most_nanos(),
        })
    }

    fn hot_key_target(&self) -> Option<Target> {
        let hot = self.median(Scenario::OneHotKey, Lane::Caldera)?.requests_per_second;
        let many = self.median(Scenario::ManyKeys, Lane::Caldera)?.requests_per_second;
        let percent = percent(hot, many);
        Some(Target {
            name: "throughput of one hot key, of that of all keys",
            measured: format!("{percent} %"),
            wanted: "at least 80 %",
            met: percent >= 80,
        })
    }

    fn memory_target(&self) -> Option<Target> {
        let bytes = self.median(Scenario::ManyKeys, Lane::Caldera)?.resident_kib * 1024;
        Some(Target {
            name: "resident memory with all keys",
            measured: format!("{} MB", bytes.div_ceil(1_000_000)),
            wanted: "below 100 MB",
            met: bytes < 100_000_000,
        })
    }

    fn idle_target(&self) -> Option<Target> {
        let idle = self.idle_streams.iter().find(|idle| idle.lane == Lane::Caldera)?;
        Some(Target {
            name: "memory of an idle stream",
            measured: format!("{} kB", thousandths(idle.bytes_each)),
            wanted: "at most 40 kB",
            met: idle.bytes_each <= 40_000 && idle.open_count > 0,
        })
    }
}

#[derive(Clone, Copy)]
enum Quantile {
    P50,
    P99,
}

impl Quantile {
    fn of(self, figures: &Figures) -> u64 {
        match self {
            Self::P50 => figures.latency.p50_nanos,
            Self::P99 => figures.latency.p99_nanos,
        }
    }

    fn most_nanos(self) -> u64 {
        match self {
            Self::P50 => 500_000,
            Self::P99 => 3_000_000,
        }
    }
}

/// `part` of `whole` in percent, rounded to the nearest.
pub fn percent(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2) / whole.max(1)
}

/// Percent written as a factor: 187 is `1.87 x`.
pub fn times(percent: u64) -> String {
    format!("{}.{:02} x", percent / 100, percent % 100)
}

/// Thousandths written as a decimal: 1234 is `1.234`.
pub fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_decimals() {
        assert_eq!((times(187), times(5)), ("1.87 x".into(), "0.05 x".into()));
        assert_eq!((thousandths(1234), thousandths(7)), ("1.234".into(), "0.007".into()));
        assert_eq!((percent(1, 3), percent(2, 3), percent(1, 0)), (33, 67, 100));
    }

    #[test]
    fn nothing_is_judged_where_caldera_did_not_run() {
        let mut report = Report {
            started_at: String::new(),
            machine: Machine::here(),
            key_count: 0,
            rounds: 0,
            round_ms: 0,
            connection_count: 0,
            rate_per_second: 0,
            scenarios: Vec::new(),
            idle_streams: Vec::new(),
            targets: Vec::new(),
            books: None,
        };
        report.judge();
        assert!(report.targets.is_empty());
    }
}
