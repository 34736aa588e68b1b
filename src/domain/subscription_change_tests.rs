//! Cancellations, downgrades and upgrades: when they take effect, and what becomes of credit.

use super::*;

#[test]
fn a_cancellation_waits_for_the_end_of_the_cycle_and_may_be_withdrawn() {
    for price in [0, 25] {
        let subscription = begun(monthly(price), "2026-11-21");
        assert_eq!(subscription.withdraw_pending(), Err(Refusal::NothingPending));
        let leaving = subscription.cancel().unwrap().subscription;
        assert_eq!(leaving.status(), Status::Active);
        assert_eq!(leaving.withdraw_pending().unwrap().subscription, subscription);
        assert_eq!(leaving.catch_up(credit(5, 5), at("2026-12-20")).entries, []);
        let turn = leaving.catch_up(credit(5, 5), at("2027-03-01"));
        assert_eq!((turn.due, after(credit(5, 5), &turn)), (None, Credit::ZERO));
        assert_eq!(turn.subscription.cancelled_at_s, Some(at("2026-12-21")));
        assert_eq!(
            after(credit(-5, 0), &leaving.catch_up(credit(-5, 0), at("2026-12-21"))),
            credit(-5, 0)
        );
        let over = turn.subscription;
        let refused = [
            over.cancel(),
            over.withdraw_pending(),
            over.downgrade(monthly(0)),
            over.set_auto_top_up(None),
            over.upgrade(monthly(25), Credit::ZERO, 0),
            over.buy_bundle(Purchase::ByCustomer, dollars(1), Credit::ZERO),
            over.cancel_now(Credit::ZERO, 0),
        ];
        assert!(refused.iter().all(|result| *result == Err(Refusal::Cancelled)));
    }
}

#[test]
fn a_change_of_plan_is_made_at_once_if_it_is_a_step_up_and_may_be_withdrawn_if_it_waits() {
    let subscription = begun(monthly(25), "2026-11-21");
    let up = subscription.change_plan(monthly(30), credit(5, 0), at("2026-12-01"));
    assert_eq!(up, subscription.upgrade(monthly(30), credit(5, 0), at("2026-12-01")));
    let down = subscription
        .change_plan(monthly(10), credit(5, 0), at("2026-12-01"))
        .unwrap();
    assert_eq!(down, subscription.downgrade(monthly(10)).unwrap());
    assert_eq!(down.subscription.withdraw_pending().unwrap().subscription, subscription);
}

#[test]
fn a_payment_that_was_under_way_as_he_cancelled_buys_its_cycle() {
    let subscription = begun(monthly(25), "2026-11-21");
    let due = subscription.catch_up(Credit::ZERO, at("2026-12-21")).due.unwrap();
    for decided in [subscription.cancel(), subscription.downgrade(monthly(10))] {
        let decided = decided.unwrap().subscription;
        let turn = decided.renewed(due, Credit::ZERO, at("2026-12-21")).unwrap();
        assert_eq!(turn.subscription.terms, subscription.terms);
        assert_eq!(turn.subscription.pending, decided.pending);
        assert_eq!(turn.subscription.cycle_end_s, at("2027-01-21"));
    }
}

#[test]
fn a_downgrade_takes_the_new_terms_at_the_end_of_the_cycle() {
    let free = |interval| offer(0, interval, Rollover::Full, Rollover::Full);
    #[rustfmt::skip]
    let table = [
        (Interval::Month, "2027-02-28", "2027-03-31"),
        (Interval::Week, "2027-02-28", "2027-03-07"),
        (Interval::Year, "2027-02-28", "2028-02-28"),
    ];
    for (interval, start, end) in table {
        let subscription = begun(monthly(25), "2027-01-31")
            .set_auto_top_up(Some(bundle()))
            .unwrap();
        let waiting = subscription
            .subscription
            .downgrade(free(interval))
            .unwrap()
            .subscription;
        assert_eq!(waiting.terms.period_amount, dollars(25));
        assert_eq!(waiting.auto_top_up_bundle_id, Some(bundle()));
        let turn = waiting.catch_up(credit(10, 2), at("2027-02-28"));
        assert_eq!(turn.due, None);
        // The old plan's credit lapses by the old plan's rule.
        assert_eq!(after(credit(10, 2), &turn), credit(25, 2));
        let next = turn.subscription;
        assert_eq!(
            (next.cycle_start_s, next.cycle_end_s),
            (at(start), at(end)),
            "{interval:?}"
        );
        assert_eq!((&next.terms, &next.pending), (&free(interval).terms, &None));
        assert_eq!(next.auto_top_up_bundle_id, None);
    }
    let cheaper = begun(monthly(25), "2027-01-31").downgrade(monthly(10)).unwrap();
    let due = cheaper.subscription.catch_up(Credit::ZERO, at("2027-02-28")).due;
    assert_eq!(due.map(|due| due.amount), Some(dollars(10)));
}

#[test]
fn an_upgrade_begins_a_cycle_now_and_keeps_what_is_left() {
    let subscription = begun(monthly(10), "2026-11-21").cancel().unwrap().subscription;
    let better = Offer {
        auto_top_up_bundle_id: Some(bundle()),
        ..monthly(50)
    };
    let turn = subscription
        .upgrade(better.clone(), credit(3, 4), at("2026-11-30"))
        .unwrap();
    assert_eq!(amounts(&turn), [(Bucket::Cycle, EntryKind::Grant, 25)]);
    let next = turn.subscription;
    assert_eq!(
        (next.cycle_start_s, next.cycle_end_s),
        (at("2026-11-30"), at("2026-12-30"))
    );
    assert_eq!((next.id, next.started_at_s), (subscription.id, at("2026-11-21")));
    assert_eq!((next.pending, next.auto_top_up_bundle_id), (None, Some(bundle())));
    // What would have lapsed, had the renewal been paid, is not kept by way of an upgrade.
    let late = subscription.upgrade(better, credit(3, 4), at("2026-12-22")).unwrap();
    assert_eq!(after(credit(3, 4), &late), credit(25, 4));
}
