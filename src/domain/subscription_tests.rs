//! Subscriptions by tables: rollovers, calendars, lateness, payments, storage. Changes of mind are in `change_tests`,
//! a year of a thousand customers is in `year_tests`.

use chrono::{DateTime, Utc};

use super::*;
use crate::domain::ids::{Mode, PlanId};
use crate::domain::terms::Interval;

#[path = "subscription_change_tests.rs"]
mod change_tests;
#[path = "subscription_year_tests.rs"]
mod year_tests;

fn at(text: &str) -> i64 {
    format!("{text}T09:00:00Z")
        .parse::<DateTime<Utc>>()
        .unwrap()
        .timestamp()
}

fn dollars(dollars: i64) -> Money {
    Money::from_nanos(dollars * 1_000_000_000)
}

fn credit(cycle: i64, bundle: i64) -> Credit {
    Credit {
        cycle: dollars(cycle),
        bundle: dollars(bundle),
    }
}

fn id() -> SubscriptionId {
    SubscriptionId::compose(Mode::Test, 1_700_000_000_000, 7)
}

fn bundle() -> CreditBundleId {
    CreditBundleId::compose(Mode::Test, 1_700_000_000_000, 3)
}

/// A plan of this price that includes 25 dollars.
fn offer(price: i64, interval: Interval, rollover: Rollover, bundle_rollover: Rollover) -> Offer {
    Offer {
        terms: Terms {
            plan_id: PlanId::compose(Mode::Test, 1_700_000_000_000, 9),
            name: "Pro".to_owned(),
            period_amount: dollars(price),
            included_credit: dollars(25),
            interval,
            rollover,
            bundle_rollover,
        },
        auto_top_up_bundle_id: None,
    }
}

fn begun(offer: Offer, day: &str) -> Subscription {
    Subscription::begin(id(), offer, Credit::ZERO, at(day)).subscription
}

fn monthly(price: i64) -> Offer {
    offer(price, Interval::Month, Rollover::None, Rollover::Full)
}

fn after(mut credit: Credit, turn: &Turn) -> Credit {
    for entry in &turn.entries {
        credit.book(*entry);
    }
    credit
}

fn amounts(turn: &Turn) -> Vec<(Bucket, EntryKind, i64)> {
    let dollars = |amount: Money| amount.nanos() / 1_000_000_000;
    let entries = turn.entries.iter();
    entries
        .map(|entry| (entry.bucket, entry.kind, dollars(entry.amount)))
        .collect()
}

#[test]
fn unused_credit_carries_over_or_lapses_as_the_plan_says_and_a_debt_always_stays() {
    use Rollover::{Full, None};
    #[rustfmt::skip]
    let table = [
        // rollovers of cycle and bundle; credit at the end of the cycle; credit of the next
        (Full, Full, (10, 0),  (35, 0)),
        (None, Full, (10, 0),  (25, 0)),
        (Full, None, (10, 0),  (35, 0)),
        (None, None, (10, 0),  (25, 0)),
        (Full, Full, (10, 8),  (35, 8)),
        (None, Full, (10, 8),  (25, 8)),
        (Full, None, (10, 8),  (35, 0)),
        (None, None, (10, 8),  (25, 0)),
        (None, None, (0, 0),   (25, 0)),
        (None, None, (-5, 0),  (20, 0)),
        (Full, Full, (-5, 0),  (20, 0)),
        (None, None, (-40, 0), (-15, 0)),
    ];
    for (rollover, bundle_rollover, left, next) in table {
        let subscription = begun(offer(0, Interval::Month, rollover, bundle_rollover), "2026-11-21");
        let left = credit(left.0, left.1);
        let turn = subscription.catch_up(left, at("2026-12-21"));
        assert_eq!(
            after(left, &turn),
            credit(next.0, next.1),
            "{rollover:?} {bundle_rollover:?} {left:?}"
        );
    }
}

#[test]
fn the_25_dollar_plan_with_15_used_has_35_or_25_next_month() {
    for (rollover, expected) in [(Rollover::Full, 35), (Rollover::None, 25)] {
        let turn = Subscription::begin(
            id(),
            offer(25, Interval::Month, rollover, Rollover::Full),
            Credit::ZERO,
            at("2026-11-21"),
        );
        assert_eq!(amounts(&turn), [(Bucket::Cycle, EntryKind::Grant, 25)]);
        let mut credit = after(Credit::ZERO, &turn);
        credit.draw(dollars(15));
        let due = turn.subscription.catch_up(credit, at("2026-12-21"));
        assert_eq!((due.due.unwrap().amount, &due.entries[..]), (dollars(25), &[][..]));
        let turn = due
            .subscription
            .renewed(due.due.unwrap(), credit, at("2026-12-21"))
            .unwrap();
        assert_eq!(after(credit, &turn), self::credit(expected, 0));
    }
}

#[test]
fn renewals_keep_the_day_through_short_months_and_leap_years() {
    let table = [
        (
            Interval::Month,
            "2027-01-31",
            ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"],
        ),
        (
            Interval::Month,
            "2027-12-30",
            ["2028-01-30", "2028-02-29", "2028-03-30", "2028-04-30"],
        ),
        (
            Interval::Year,
            "2028-02-29",
            ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"],
        ),
    ];
    for (interval, begin, days) in table {
        let mut subscription = begun(offer(0, interval, Rollover::None, Rollover::None), begin);
        for day in days {
            assert_eq!(subscription.wakes_at_s(), Some(at(day)));
            let early = subscription.catch_up(credit(25, 0), at(day) - 1);
            assert_eq!((early.entries.len(), &early.subscription), (0, &subscription));
            subscription = subscription.catch_up(credit(25, 0), at(day)).subscription;
            assert_eq!(subscription.cycle_start_s, at(day));
        }
        assert_eq!(subscription.period_index, 4);
    }
}

#[test]
fn a_server_that_was_off_for_a_week_renews_a_daily_plan_seven_times() {
    for (rollover, expected) in [(Rollover::None, 25), (Rollover::Full, 10 + 7 * 25)] {
        let subscription = begun(offer(0, Interval::Day, rollover, Rollover::Full), "2026-11-21");
        let left = credit(10, 3);
        let turn = subscription.catch_up(left, at("2026-11-28") + 3_600);
        assert_eq!(after(left, &turn), credit(expected, 3));
        assert_eq!(turn.subscription.cycle_start_s, at("2026-11-28"));
        let renewals = turn.entries.iter().filter(|entry| entry.kind == EntryKind::Renewal);
        assert_eq!(renewals.count(), 7);
        if rollover == Rollover::None {
            let mut expected = vec![
                (Bucket::Cycle, EntryKind::Lapse, -10),
                (Bucket::Cycle, EntryKind::Renewal, 25),
            ];
            for _ in 1..7 {
                expected.push((Bucket::Cycle, EntryKind::Lapse, -25));
                expected.push((Bucket::Cycle, EntryKind::Renewal, 25));
            }
            assert_eq!(amounts(&turn), expected);
        }
        let again = turn.subscription.catch_up(credit(1, 1), at("2026-11-28") + 3_600);
        assert_eq!((again.entries.len(), &again.subscription), (0, &turn.subscription));
    }
}

#[test]
fn what_passed_in_years_is_caught_up_in_turns_of_bounded_size() {
    let mut subscription = begun(offer(0, Interval::Day, Rollover::Full, Rollover::Full), "2026-01-01");
    let (now, mut turns, mut balance) = (at("2027-01-01"), 0, credit(25, 0));
    while subscription.wakes_at_s().is_some_and(|at_s| at_s <= now) {
        let turn = subscription.catch_up(balance, now);
        assert!(turn.entries.len() <= CYCLES_A_TURN);
        balance = after(balance, &turn);
        subscription = turn.subscription;
        turns += 1;
    }
    assert_eq!((turns, balance), (4, credit(25 * 366, 0)));
}

#[test]
fn a_payment_that_fails_is_tried_after_1_3_5_and_7_days_and_then_credit_stops() {
    let mut subscription = begun(monthly(25), "2026-11-21");
    let left = credit(4, 6);
    for (attempt, day) in (1..).zip(["2026-12-21", "2026-12-22", "2026-12-24", "2026-12-26", "2026-12-28"]) {
        assert_eq!(subscription.wakes_at_s(), Some(at(day)));
        assert_eq!(subscription.catch_up(left, at(day) - 1).due, None);
        let due = subscription.catch_up(left, at(day)).due.unwrap();
        assert_eq!((due.amount, due.attempt), (dollars(25), attempt));
        let turn = subscription.payment_failed(due, left, at(day)).unwrap();
        assert!(turn.subscription.payment_failed(due, left, at(day)).is_err());
        if attempt < 5 {
            assert_eq!((turn.entries.len(), turn.subscription.status()), (0, Status::Active));
        } else {
            let lapsed = [
                (Bucket::Cycle, EntryKind::Lapse, -4),
                (Bucket::Bundle, EntryKind::Lapse, -6),
            ];
            assert_eq!(amounts(&turn), lapsed);
            assert_eq!(turn.subscription.cancelled_at_s, Some(at(day)));
            assert_eq!(turn.subscription.wakes_at_s(), None);
        }
        subscription = turn.subscription;
    }
    assert_eq!(subscription.catch_up(left, at("2030-01-01")).entries, []);
}

#[test]
fn a_late_payment_begins_the_cycle_of_its_day_once_and_keeps_the_anchor() {
    let subscription = begun(offer(5, Interval::Day, Rollover::None, Rollover::Full), "2026-11-21");
    let due = subscription.catch_up(credit(2, 0), at("2026-11-22")).due.unwrap();
    let failed = subscription
        .payment_failed(due, credit(2, 0), at("2026-11-22"))
        .unwrap()
        .subscription;
    let retry = failed.catch_up(credit(1, 0), at("2026-11-23")).due.unwrap();
    assert_eq!(retry, Due { attempt: 2, ..due });
    // The answer to the first attempt was lost, and comes now.
    for paid in [due, retry] {
        let turn = failed.renewed(paid, credit(1, 0), at("2026-11-25") + 60).unwrap();
        assert_eq!(
            amounts(&turn),
            [
                (Bucket::Cycle, EntryKind::Lapse, -1),
                (Bucket::Cycle, EntryKind::Renewal, 25)
            ]
        );
        let renewed = &turn.subscription;
        assert_eq!((renewed.cycle_start_s, renewed.period_index), (at("2026-11-25"), 4));
        assert_eq!((renewed.arrears, renewed.wakes_at_s()), (None, Some(at("2026-11-26"))));
        for stale in [due, retry] {
            assert_eq!(
                renewed.renewed(stale, credit(1, 0), at("2026-11-25")),
                Err(Refusal::NotDue)
            );
            assert_eq!(
                renewed.payment_failed(stale, credit(1, 0), at("2026-11-25")),
                Err(Refusal::NotDue)
            );
        }
    }
}

#[test]
fn a_bundle_pays_the_debt_first_and_says_who_bought_it() {
    let subscription = begun(monthly(10), "2026-11-21");
    for (purchase, kind) in [
        (Purchase::ByCustomer, EntryKind::Bundle),
        (Purchase::AutoTopUp, EntryKind::TopUp),
    ] {
        let turn = subscription.buy_bundle(purchase, dollars(10), credit(-4, 0)).unwrap();
        assert_eq!(amounts(&turn), [(Bucket::Cycle, kind, 4), (Bucket::Bundle, kind, 6)]);
        let turn = subscription.buy_bundle(purchase, dollars(10), credit(1, 1)).unwrap();
        assert_eq!(amounts(&turn), [(Bucket::Bundle, kind, 10)]);
    }
}

#[test]
fn a_stored_subscription_reads_back_under_names_that_stay() {
    let plain = begun(monthly(25), "2026-11-21");
    let mut full = plain.downgrade(monthly(10)).unwrap().subscription;
    full.arrears = Some(Arrears {
        failures: 2,
        first_failed_at_s: 5,
    });
    full.auto_top_up_bundle_id = Some(bundle());
    full.cancelled_at_s = Some(6);
    for subscription in [&plain, &plain.cancel().unwrap().subscription, &full] {
        let text = serde_json::to_string(subscription).unwrap();
        assert_eq!(&serde_json::from_str::<Subscription>(&text).unwrap(), subscription);
    }
    let terms = r#"{"plan_id":"sc_test_01HF7YAT000000000000000009","name":"Pro","period_amount":"25.00",
        "included_credit":"25.00","interval":"month","rollover":"none","bundle_rollover":"full"}"#;
    let expected = format!(
        r#"{{"id":"{}","terms":{terms},"anchor_s":1795251600,"period_index":0,"started_at_s":1795251600,
        "cycle_start_s":1795251600,"cycle_end_s":1797843600,"auto_top_up_bundle_id":"{}",
        "pending":{{"type":"downgrade","terms":{},"auto_top_up_bundle_id":null}},
        "arrears":{{"failures":2,"first_failed_at_s":5}},"cancelled_at_s":6}}"#,
        id(),
        bundle(),
        terms.replacen("25.00", "10.00", 1),
    );
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(serde_json::to_value(&full).unwrap(), expected);
}
