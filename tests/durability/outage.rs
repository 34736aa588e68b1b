//! A database that is away, stopped or frozen: the gateway goes on, management says so, memory does not grow with the
//! backlog, and the backlog drains.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::load::{Load, Outcome, rounds};
use crate::support::house::{House, settings};
use crate::support::postgres::OwnCluster;
use crate::support::process::wait_until;
use crate::support::simulator::Simulator;

/// Long enough for the allocator's arenas and the connections to be what they will be.
const WARM_UP: Duration = Duration::from_secs(2);
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
const GROWTH_LIMIT_KB: u64 = 50 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Stopped,
    Frozen,
}

#[test]
fn without_its_database_the_gateway_goes_on_management_says_so_and_the_backlog_drains() {
    outlasts(Outage::Stopped);
}

#[test]
fn with_a_frozen_database_the_gateway_goes_on_and_the_backlog_drains() {
    outlasts(Outage::Frozen);
}

fn outlasts(outage: Outage) {
    let mut cluster = OwnCluster::start();
    let database = cluster.database("outage");
    let simulator = Simulator::start();
    let server = settings(&database.url, &simulator).start();
    let house = House {
        server,
        database,
        simulator,
    };
    let (id, key) = house.mint(json!({ "name": "one", "spend_limit": { "amount": "500.00", "cycle": "daily" } }));
    let process_id = house.server.process_id();
    let (mut outcome, [before_kb, mut highest_kb]) =
        under_load(&house, &key, || run_outage(outage, &mut cluster, &house));
    let since = Instant::now();
    wait_until("the backlog drains", DRAIN_LIMIT, || {
        highest_kb = resident_kb(process_id).max(highest_kb);
        house.server.client().get(&format!("/v1/spend_keys/{id}")).status == 200
            && house.database.number("SELECT COUNT(*) FROM requests") as u64 == outcome.answered
    });
    let (drained, growth_kb) = (since.elapsed(), highest_kb - before_kb);
    let [median, late] = [50, 99].map(|percent| outcome.percentile(percent));
    eprintln!(
        "{outage:?}: {} answered, median {median:?}, p99 {late:?}, {growth_kb} kB grown, drained in {drained:?}",
        outcome.answered
    );
    assert_eq!(outcome.failed, [0; 0]);
    assert_eq!(house.simulator.ledger()["completed"], outcome.answered);
    assert!(growth_kb <= GROWTH_LIMIT_KB, "{growth_kb} kB");
    let settled = house.settled(&id);
    assert_eq!(settled["total_requests"], outcome.answered);
    house.books_agree();
}

/// Does the work while about 300 calls a second come; gives what came of them, and what the work gave.
fn under_load<T>(house: &House, key: &str, work: impl FnOnce() -> T) -> (Outcome, T) {
    let load = Load {
        house,
        key,
        callers: 6,
        interval: Duration::from_millis(20),
    };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers = scope.spawn(|| load.run(&stop));
        thread::sleep(WARM_UP);
        let given = work();
        stop.store(true, Ordering::SeqCst);
        (callers.join().unwrap(), given)
    })
}

/// Takes the database away and gives it back; how large the server was before, and at most meanwhile, in kB.
fn run_outage(outage: Outage, cluster: &mut OwnCluster, house: &House) -> [u64; 2] {
    let length = Duration::from_secs(rounds(6, 30));
    let before = resident_kb(house.server.process_id());
    let mut highest = before;
    let end = Instant::now() + length;
    match outage {
        Outage::Frozen => cluster.pause(),
        Outage::Stopped => {
            cluster.stop();
            let refused = house.server.client().get("/v1/spend_keys");
            let says_when = refused.header("retry-after").is_some();
            assert_eq!((refused.status, says_when), (503, true), "{}", refused.text());
        }
    }
    while Instant::now() < end {
        highest = resident_kb(house.server.process_id()).max(highest);
        thread::sleep(Duration::from_millis(100));
    }
    match outage {
        Outage::Frozen => cluster.resume(),
        Outage::Stopped => cluster.start_again(),
    }
    [before, highest]
}

fn resident_kb(process_id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
