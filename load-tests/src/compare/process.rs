//! What /proc says of a process: processor time and resident memory. Linux only.
//! The processes of a private Postgres are found by their parents, by the data directory in their command line, or by the one in
//! the environment that they inherited.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Linux counts a process's time in hundredths of a second, whatever the kernel's own clock.
const NANOS_PER_TICK: u64 = 10_000_000;

/// User and system time of one process in nanoseconds; 0 when it is gone.
pub fn cpu_nanos(pid: u32) -> u64 {
    read_stat(pid).map_or(0, |stat| stat.own_ticks * NANOS_PER_TICK)
}

/// Resident memory of one process in KiB; 0 when it is gone.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// User and system time of the private Postgres of `owner` in nanoseconds, with its children that have ended.
pub fn postgres_cpu_nanos(owner: u32, data_directory: &Path) -> u64 {
    let stats = read_all_stats();
    let ticks: u64 = postgres_pids(&stats, owner, data_directory)
        .iter()
        .filter_map(|pid| stats.get(pid))
        .map(|stat| stat.own_ticks + stat.ended_children_ticks)
        .sum();
    ticks * NANOS_PER_TICK
}

/// The first processes of the private Postgres: those whose parent is not one of its own.
pub fn postmaster_pids(owner: u32, data_directory: &Path) -> Vec<u32> {
    let stats = read_all_stats();
    let pids = postgres_pids(&stats, owner, data_directory);
    let has_parent = |pid: &u32| stats.get(pid).is_some_and(|stat| pids.contains(&stat.parent));
    pids.iter().filter(|pid| !has_parent(pid)).copied().collect()
}

struct Stat {
    name: String,
    parent: u32,
    own_ticks: u64,
    ended_children_ticks: u64,
}

fn postgres_pids(stats: &HashMap<u32, Stat>, owner: u32, data_directory: &Path) -> Vec<u32> {
    let belongs = |pid: &u32| {
        let mut pid = *pid;
        while let Some(stat) = stats.get(&pid) {
            if pid == owner || (stat.name.starts_with("postgres") && mentions(pid, data_directory)) {
                return true;
            }
            pid = stat.parent;
        }
        false
    };
    let servers = stats.iter().filter(|(_, stat)| stat.name.starts_with("postgres"));
    servers.map(|(pid, _)| *pid).filter(belongs).collect()
}

fn mentions(pid: u32, directory: &Path) -> bool {
    let directory = directory.as_os_str().as_encoded_bytes();
    ["cmdline", "environ"].iter().any(|file| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(directory.len()).any(|window| window == directory)
    })
}

fn read_all_stats() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, read_stat(pid)?))).collect()
}

fn read_stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in parentheses and may hold spaces and parentheses itself; the fields are counted from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Some(Stat {
        name: before.split_once('(')?.1.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: ticks(11)? + ticks(12)?,
        ended_children_ticks: ticks(13)? + ticks(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_whose_name_has_spaces_and_parentheses() {
        let line = "42 (post) gres (x) S 7 42 42 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0 9 9 9";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("post) gres (x", 7));
        assert_eq!((stat.own_ticks, stat.ended_children_ticks), (23, 27));
    }

    #[test]
    fn this_process_has_memory_and_no_postgres() {
        let pid = std::process::id();
        assert!(resident_kib(pid) > 100);
        assert_eq!(postgres_cpu_nanos(pid, Path::new("/nonexistent/data/directory")), 0);
    }

    #[test]
    fn a_process_that_is_gone_reads_zero() {
        assert_eq!((cpu_nanos(u32::MAX), resident_kib(u32::MAX)), (0, 0));
    }
}
