//! A cycle that ends while calls run: what was granted, lapsed and charged adds up, and each cycle has its own tiers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Shop, meter};
use crate::durability::load::Load;
use crate::support::server::eventually;

#[test]
fn a_cycle_that_ends_under_running_calls_begins_the_next_with_its_own_credit_and_tiers() {
    let ladder = [(0, "1000"), (400, "100")];
    let mut shop = Shop::new(meter("fixed", "tokens_1m", &ladder), "20.00");
    let token = shop.token();
    let before = shop.subscription();
    shop.house.server.kill();
    // The cycle ends two seconds after the start, thirty days before the usual.
    let moved = "UPDATE subscriptions SET anchor_at = t.at, started_at = t.at, cycle_start_at = t.at, \
                 cycle_end_at = t.at + interval '1 month' FROM (SELECT now() - interval '1 month' + interval '4 seconds' AS at) t";
    assert_eq!(shop.house.database.execute(moved), 1);
    shop.house.server.start_again();
    assert_eq!(shop.subscription()["subscription_id"], before["subscription_id"]);
    let stop = AtomicBool::new(false);
    let load = Load {
        house: &shop.house,
        key: &token,
        callers: 4,
        interval: Duration::from_millis(10),
    };
    let renewed = || shop.number("SELECT COUNT(*) FROM movements WHERE kind = 'renewal'") == 1;
    let outcome = thread::scope(|scope| {
        let callers = scope.spawn(|| load.run(&stop));
        eventually("the next cycle begins", renewed);
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
        callers.join().unwrap()
    });
    assert_eq!(outcome.failed, [0; 0]);
    shop.check_books();
    // In each period the charges are those of all its usage at once, whatever the order.
    let periods = "SELECT COUNT(DISTINCT charge_detail->>'period_start') FROM requests";
    assert_eq!(shop.number(periods), 2);
    let wrong = "SELECT COUNT(*) FROM (SELECT sum(charge) AS charged, sum((charge_detail->>'quantity')::bigint) AS used \
                 FROM requests GROUP BY charge_detail->>'period_start') p \
                 WHERE charged <> least(used, 400) * 1000000 + greatest(used - 400, 0) * 100000";
    assert_eq!(shop.number(wrong), 0);
    let lapsed = shop.number("SELECT -sum(amount)::bigint FROM movements WHERE kind = 'lapse'");
    let late = shop.number(
        "SELECT sum(charge)::bigint FROM requests WHERE (charge_detail->>'period_start')::bigint = \
         (SELECT max((charge_detail->>'period_start')::bigint) FROM requests)",
    );
    assert!(lapsed > 0);
    assert_eq!(shop.credit(), 20_000_000_000 - late, "what was left has lapsed");
    assert_eq!(shop.number("SELECT COUNT(*) FROM requests"), outcome.answered as i64);
    eprintln!(
        "{} calls over the end of a cycle, {lapsed} nano-dollars lapsed",
        outcome.answered
    );
}
