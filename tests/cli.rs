//! The command line over the real binary and a real server: tables for people, JSON for programs, and the statuses that
//! scripts go by.

mod access;
mod check;
mod dashboard;
mod import;
mod keys;
mod prices;
mod run;
mod usage;

use crate::support::house::House;

/// What a command wrote for people.
pub fn told(house: &House, arguments: &[&str]) -> String {
    let output = house.server.run(arguments);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {why}");
    String::from_utf8(output.stdout).unwrap()
}

/// The status with which a command failed, and why it says it did.
pub fn refused(house: &House, arguments: &[&str]) -> (i32, String) {
    let output = house.server.run(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}
