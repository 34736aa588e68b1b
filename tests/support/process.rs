//! Signals to processes that the suite started, by their ids, and waiting with a limit.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Between two looks at something that is awaited.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Sends a signal such as `TERM`; a process that is gone is no error.
pub fn signal(process_id: u32, name: &str) {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "kill -s \"$0\" \"$1\" 2>/dev/null", name])
        .arg(process_id.to_string());
    command.status().expect("a shell is there");
}

/// The processes whose parent this is.
pub fn children_of(process_id: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .filter_map(Result::ok);
    let process_ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    process_ids
        .filter(|candidate| parent_of(*candidate) == Some(process_id))
        .collect()
}

fn parent_of(process_id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// Waits until the condition holds, and fails the test with `what` when it does not in time.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not in {limit:?}: {what}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Waits for a process to end; kills it and fails the test when it does not in time.
pub fn wait_for_exit(child: &mut Child, limit: Duration) -> ExitStatus {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if Instant::now() >= deadline {
            child.kill().expect("it is our child");
            panic!("process {} did not end in {limit:?}", child.id());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
