//! Charges as the facts work them out, and what never goes wrong whatever calls end together.

use proptest::prelude::*;

use super::*;
use crate::domain::ids::{Mode, PlanId, SubscriptionId};
use crate::domain::meter::{RateType, Tier, TierType, Tiers};
use crate::domain::subscription::Purchase;
use crate::domain::terms::{Interval, Offer, Rollover, Terms};

const NOW_S: i64 = 1_790_000_000;

fn dollars(text: &str) -> Money {
    text.parse().unwrap()
}

fn meter(tiers: &[(u64, &str)]) -> Meter {
    let tier = |(start, rate): &(u64, &str)| Tier {
        start: *start,
        rate: dollars(rate),
    };
    Meter {
        id: MeterId::compose(Mode::Live, 1, 2),
        slug: "words".into(),
        name: "Words".into(),
        rate_type: RateType::Fixed,
        tier_type: TierType::Tokens,
        tiers: Tiers::new(tiers.iter().map(tier).collect()).unwrap(),
    }
}

fn account(included: &str) -> CustomerAccount {
    let mut account = CustomerAccount::new(MerchantId::compose(Mode::Live, 1, 4));
    let terms = Terms {
        plan_id: PlanId::compose(Mode::Live, 1, 6),
        name: "Plan".into(),
        period_amount: Money::ZERO,
        included_credit: dollars(included),
        interval: Interval::Month,
        rollover: Rollover::None,
        bundle_rollover: Rollover::Full,
    };
    let offer = Offer {
        terms,
        auto_top_up_bundle_id: None,
    };
    let id = SubscriptionId::compose(Mode::Live, 1, 8);
    account.apply(&Subscription::begin(id, offer, Credit::ZERO, NOW_S));
    account
}

fn used(quantity: u64) -> Metered {
    Metered {
        quantity,
        provider_cost: Money::ZERO,
    }
}

#[test]
fn five_million_tokens_on_the_ladder_cost_seventeen_however_they_come() {
    let ladder = meter(&[(0, "5.00"), (1_000_000, "3.00"), (10_000_000, "1.00")]);
    for pieces in [1, 2, 5, 1000] {
        let mut account = account("100.00");
        let mut sum = Money::ZERO;
        for _ in 0..pieces {
            let charge = account.settle(Money::ZERO, &ladder, used(5_000_000 / pieces), NOW_S);
            assert_eq!(charge.from_cycle, charge.amount);
            sum = sum.saturating_add(charge.amount);
        }
        assert_eq!(sum, dollars("17.00"), "{pieces} pieces");
        assert_eq!(account.credit.credit.cycle, dollars("83.00"));
        assert_eq!(account.tally(ladder.id, NOW_S).quantity, 5_000_000);
    }
}

#[test]
fn seven_hundred_tokens_at_two_a_million_cost_their_part() {
    let mut account = account("1.00");
    let charge = account.settle(Money::ZERO, &meter(&[(0, "2.00")]), used(700), NOW_S);
    assert_eq!(charge.amount, dollars("0.0014"));
    assert_eq!(charge.parts.len(), 1);
    assert_eq!((charge.parts[0].start, charge.parts[0].quantity), (0, 700));
}

#[test]
fn what_was_used_counts_until_the_cycle_ends_and_without_one_until_the_month_ends() {
    let meter = meter(&[(0, "5.00"), (1_000_000, "3.00")]);
    let mut account = account("100.00");
    account.settle(Money::ZERO, &meter, used(1_000_000), NOW_S);
    let later_s = account.subscription.as_ref().unwrap().cycle_end_s;
    let turn = account
        .subscription
        .as_ref()
        .unwrap()
        .catch_up(account.credit.credit, later_s);
    account.apply(&turn);
    assert_eq!(account.tally(meter.id, later_s).quantity, 0);
    assert_eq!(
        account.settle(Money::ZERO, &meter, used(1_000_000), later_s).amount,
        dollars("5.00")
    );
    assert_eq!(
        account.settle(Money::ZERO, &meter, used(1_000_000), later_s).amount,
        dollars("3.00")
    );

    let mut nobody = CustomerAccount::new(account.merchant_id);
    nobody.settle(Money::ZERO, &meter, used(1), NOW_S);
    assert_eq!(nobody.period_start_s(NOW_S), 1_788_220_800); // 2026-09-01
    assert_eq!(nobody.tally(meter.id, NOW_S).quantity, 1);
    assert_eq!(nobody.tally(meter.id, NOW_S + 31 * 86_400).quantity, 0);
}

#[test]
fn a_usage_in_more_tiers_than_a_record_holds_is_told_whole() {
    let tiers: Vec<_> = (0..20).map(|place| (place * 10, "1000000.00")).collect();
    let mut account = account("0.00");
    let charge = account.settle(Money::ZERO, &meter(&tiers), used(200), NOW_S);
    assert_eq!(charge.parts.len(), Charge::PARTS_MOST);
    assert_eq!(charge.parts.iter().map(|part| part.quantity).sum::<u64>(), 200);
    let costs = charge.parts.iter().map(|part| part.cost.nanos()).sum::<i64>();
    assert_eq!(costs, charge.amount.nanos());
    assert_eq!(account.credit.credit.cycle, Money::ZERO.saturating_sub(charge.amount));
}

#[test]
fn bundles_pay_a_charge_that_was_booked_in_haste_before_they_lapse() {
    let mut account = account("0.00");
    let bought = account.subscription.as_ref().unwrap();
    let bundle = bought.buy_bundle(Purchase::ByCustomer, dollars("10.00"), account.credit.credit);
    account.apply(&bundle.unwrap());
    let meter = meter(&[(0, "1000000.00")]);
    let charge = account.tally(meter.id, NOW_S).charge(&meter, used(4), Money::ZERO);
    account.book(Money::ZERO, meter.id, &charge);
    let before = account.credit.credit;
    assert_eq!(
        (before.cycle, before.bundle),
        (Money::ZERO.saturating_sub(dollars("4.00")), dollars("10.00"))
    );
    let subscription = account.subscription.clone().unwrap();
    let turn = subscription.catch_up(before, subscription.cycle_end_s);
    assert_eq!(turn.entries.iter().map(|entry| entry.amount.nanos()).sum::<i64>(), 0);
    account.apply(&turn);
    let after = account.credit.credit;
    assert_eq!((after.cycle, after.bundle), (Money::ZERO, dollars("6.00")));
}

proptest! {
    /// Calls that each reserve their bound and then use no more of it, in any order, never pass the credit.
    #[test]
    fn calls_within_their_bounds_never_overdraw(
        calls in prop::collection::vec((1_u64..3_000_000, 0_u64..=100, any::<bool>()), 1..60),
        included in 1_u64..40,
    ) {
        let ladder = meter(&[(0, "5.00"), (1_000_000, "3.00"), (2_000_000, "7.00"), (10_000_000, "1.00")]);
        let mut account = account(&format!("{included}.00"));
        let (mut open, mut charged) = (Vec::new(), 0);
        for (bound, percent, ends_now) in calls {
            let hold = account.bound(&ladder, used(bound), NOW_S).unwrap();
            if let Fit::Granted(hold) = account.reserve(Claim::exactly(hold)) {
                open.push((hold, bound * percent / 100));
            }
            if ends_now && let Some((hold, quantity)) = open.pop() {
                charged += account.settle(hold, &ladder, used(quantity), NOW_S).amount.nanos();
            }
            prop_assert!(account.credit.credit.total() >= Money::ZERO);
        }
        for (hold, quantity) in open {
            charged += account.settle(hold, &ladder, used(quantity), NOW_S).amount.nanos();
        }
        prop_assert!(account.credit.credit.total() >= Money::ZERO);
        prop_assert_eq!(account.credit.held, Money::ZERO);
        prop_assert_eq!(charged + account.credit.credit.total().nanos(), included as i64 * 1_000_000_000);
    }
}
