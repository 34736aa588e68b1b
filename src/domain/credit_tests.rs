//! Credit by tables, and by any row of holds, charges and grants.

use proptest::prelude::*;

use super::*;

fn cents(cents: i64) -> Money {
    Money::from_nanos(cents * 10_000_000)
}

fn credit(cycle: i64, bundle: i64) -> Credit {
    Credit {
        cycle: cents(cycle),
        bundle: cents(bundle),
    }
}

#[test]
fn a_charge_draws_the_cycle_then_bundles_then_makes_a_debt() {
    #[rustfmt::skip]
    let table = [
        // before, charge, drawn of each, after
        ((100, 50),   0, (0, 0),     (100, 50)),
        ((100, 50),  30, (30, 0),    (70, 50)),
        ((100, 50), 100, (100, 0),   (0, 50)),
        ((100, 50), 120, (100, 20),  (0, 30)),
        ((100, 50), 150, (100, 50),  (0, 0)),
        ((100, 50), 170, (120, 50),  (-20, 0)),
        ((0, 50),    10, (0, 10),    (0, 40)),
        ((-20, 0),   10, (10, 0),    (-30, 0)),
    ];
    for (before, charge, drawn, after) in table {
        let mut credit = credit(before.0, before.1);
        let draw = credit.draw(cents(charge));
        assert_eq!(
            (draw.cycle, draw.bundle),
            (cents(drawn.0), cents(drawn.1)),
            "{before:?} {charge}"
        );
        assert_eq!(credit, self::credit(after.0, after.1), "{before:?} {charge}");
    }
}

#[test]
fn a_grant_pays_debts_before_it_fills_a_bucket() {
    #[rustfmt::skip]
    let table = [
        ((-20, 0), Bucket::Cycle,  100, (100, 0),  (80, 0)),
        ((-20, 0), Bucket::Bundle, 100, (20, 80),  (0, 80)),
        ((-20, 0), Bucket::Bundle,   5, (5, 0),    (-15, 0)),
        ((10, 5),  Bucket::Bundle, 100, (0, 100),  (10, 105)),
        ((10, 5),  Bucket::Cycle,  -12, (-10, -2), (0, 3)),
        ((10, 5),  Bucket::Bundle, -20, (-15, -5), (-5, 0)),
    ];
    for (before, bucket, amount, granted, after) in table {
        let mut credit = credit(before.0, before.1);
        assert_eq!(
            credit.grant(bucket, cents(amount)),
            self::credit(granted.0, granted.1),
            "{before:?}"
        );
        assert_eq!(credit, self::credit(after.0, after.1), "{before:?} {bucket:?} {amount}");
    }
}

#[test]
fn both_buckets_cover_a_call_and_a_refusal_says_whether_waiting_helps() {
    let mut customer = CustomerCredit::new(credit(60, 40));
    assert_eq!(customer.reserve(Claim::exactly(cents(100))), Fit::Granted(cents(100)));
    assert_eq!(customer.available(), Money::ZERO);
    assert_eq!(customer.reserve(Claim::exactly(cents(1))), Fit::Busy);
    assert_eq!(customer.reserve(Claim::exactly(cents(101))), Fit::Never);
    let draw = customer.settle(cents(100), cents(130));
    assert_eq!((draw.cycle, draw.bundle), (cents(90), cents(40)));
    assert_eq!(customer.credit, credit(-30, 0));
    assert_eq!(customer.reserve(Claim::exactly(Money::ZERO)), Fit::Never);
    customer.grant(Bucket::Cycle, cents(31));
    assert_eq!(customer.reserve(Claim::exactly(cents(1))), Fit::Granted(cents(1)));
}

#[test]
fn credit_that_lapses_under_a_hold_leaves_nothing_available() {
    let mut customer = CustomerCredit::new(credit(100, 0));
    assert_eq!(customer.reserve(Claim::exactly(cents(80))), Fit::Granted(cents(80)));
    customer.book(&[Entry {
        bucket: Bucket::Cycle,
        kind: EntryKind::Lapse,
        amount: cents(-70),
    }]);
    assert_eq!(customer.available(), Money::ZERO);
    assert_eq!(customer.reserve(Claim::exactly(cents(10))), Fit::Busy);
    customer.settle(cents(80), cents(80));
    assert_eq!(customer.credit, credit(-50, 0));
}

/// What may happen to credit.
#[derive(Clone, Debug)]
enum Act {
    Reserve {
        minimum: i64,
        more: i64,
    },
    /// Ends the oldest hold; charges this part of it, in hundredths.
    Settle {
        percent: i64,
    },
    Grant {
        bucket: Bucket,
        amount: i64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let bucket = prop::sample::select(vec![Bucket::Cycle, Bucket::Bundle]);
    prop_oneof![
        (0i64..1_000, 0i64..1_000).prop_map(|(minimum, more)| Act::Reserve { minimum, more }),
        (0i64..=100).prop_map(|percent| Act::Settle { percent }),
        (bucket, 0i64..1_000).prop_map(|(bucket, amount)| Act::Grant { bucket, amount }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn what_is_drawn_is_the_charge_and_falls_off_the_total(
        cycle in -1_000i64..1_000, bundle in 0i64..1_000, charge in 0i64..5_000,
    ) {
        let before = Credit { cycle: Money::from_nanos(cycle), bundle: Money::from_nanos(bundle) };
        let mut after = before;
        let draw = after.draw(Money::from_nanos(charge));
        prop_assert_eq!(draw.cycle.nanos() + draw.bundle.nanos(), charge);
        prop_assert_eq!(after.total().nanos(), before.total().nanos() - charge);
        prop_assert!(draw.cycle >= Money::ZERO && draw.bundle >= Money::ZERO);
        prop_assert!(after.bundle >= Money::ZERO);
        prop_assert!(after.cycle >= Money::ZERO || after.cycle <= before.cycle);
        // Bundle credit is not touched while there is cycle credit, and there is no new debt while there is any.
        prop_assert!(draw.bundle == Money::ZERO || after.cycle <= Money::ZERO);
        prop_assert!(after.cycle >= before.cycle.min(Money::ZERO) || after.bundle == Money::ZERO);
    }

    #[test]
    fn no_more_is_held_than_is_there_while_calls_keep_to_their_holds(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut customer = CustomerCredit::default();
        let mut holds = std::collections::VecDeque::new();
        let mut expected = 0i64;
        for act in acts {
            match act {
                Act::Reserve { minimum, more } => {
                    let free = customer.available();
                    let claim = Claim {
                        minimum: Money::from_nanos(minimum),
                        wanted: Money::from_nanos(minimum + more),
                    };
                    if let Fit::Granted(amount) = customer.reserve(claim) {
                        prop_assert!(amount <= free && amount >= claim.minimum && amount <= claim.wanted);
                        holds.push_back(amount);
                    }
                }
                Act::Settle { percent } => {
                    if let Some(hold) = holds.pop_front() {
                        let charge = hold.nanos() * percent / 100;
                        customer.settle(hold, Money::from_nanos(charge));
                        expected -= charge;
                    }
                }
                Act::Grant { bucket, amount } => {
                    let granted = customer.grant(bucket, Money::from_nanos(amount));
                    prop_assert_eq!(granted.total().nanos(), amount);
                    expected += amount;
                }
            }
            let held: i64 = holds.iter().map(|hold: &Money| hold.nanos()).sum();
            prop_assert_eq!(customer.held.nanos(), held);
            prop_assert!(customer.held <= customer.credit.total());
            prop_assert_eq!(customer.credit.total().nanos(), expected);
            prop_assert!(customer.credit.bundle >= Money::ZERO);
            prop_assert!(customer.credit.cycle >= Money::ZERO || customer.credit.bundle == Money::ZERO);
        }
    }
}
