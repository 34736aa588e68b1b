//! The worked examples of meters, what tiers may not be, and what holds for every meter and every usage.

use proptest::prelude::*;

use super::*;

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn meter(rate_type: RateType, tier_type: TierType, tiers: &[(u64, &str)]) -> Meter {
    let tier = |(start, rate): &(u64, &str)| Tier {
        start: *start,
        rate: money(rate),
    };
    Meter {
        id: MeterId::from_bits(2),
        slug: "chat".to_owned(),
        name: "Chat".to_owned(),
        rate_type,
        tier_type,
        tiers: Tiers::new(tiers.iter().map(tier).collect()).unwrap(),
    }
}

const LADDER: &[(u64, &str)] = &[(0, "5"), (1_000_000, "3"), (10_000_000, "1")];

fn usage(quantity: u64, cost: &str) -> Metered {
    Metered {
        quantity,
        provider_cost: money(cost),
    }
}

#[test]
fn charges_the_worked_examples() {
    use RateType::{Fixed, Percentage};
    use TierType::{Characters, Minutes, Requests, Tokens};
    type Case = (
        RateType,
        TierType,
        &'static [(u64, &'static str)],
        (u64, u64, &'static str),
        &'static str,
    );
    let table: [Case; 16] = [
        (Fixed, Tokens, LADDER, (0, 5_000_000, "0"), "17.00"),
        (Fixed, Tokens, LADDER, (0, 0, "7"), "0.00"),
        (Fixed, Tokens, LADDER, (5_000_000, 10_000_000, "0"), "20.00"),
        (Fixed, Tokens, LADDER, (999_999, 2, "0"), "0.000008"),
        (Fixed, Tokens, &[(0, "2")], (0, 700, "0"), "0.0014"),
        (Fixed, Characters, &[(0, "15")], (5, 1_000, "0"), "0.015"),
        (Fixed, Minutes, &[(0, "0.006")], (0, 90, "0"), "0.009"),
        (Fixed, Minutes, &[(0, "0.6"), (1, "0.3")], (0, 90, "0"), "0.75"),
        (Fixed, Requests, &[(0, "0.02"), (2, "0.01")], (1, 2, "0"), "0.03"),
        (Fixed, Requests, &[(0, "0")], (1, 2, "0"), "0.00"),
        (Percentage, Tokens, &[(0, "10")], (0, 700, "0.0581"), "0.00581"),
        (Percentage, Tokens, &[(0, "110")], (0, 700, "0.05"), "0.055"),
        (Percentage, Tokens, &[(0, "10"), (100, "50")], (0, 200, "1"), "0.30"),
        (Percentage, Tokens, &[(0, "10"), (100, "50")], (100, 0, "1"), "0.50"),
        (Percentage, Requests, &[(0, "33.333333333")], (9, 1, "3"), "1.00"),
        // Half a nano-dollar is rounded up.
        (Percentage, Requests, &[(0, "50")], (0, 1, "0.000000001"), "0.000000001"),
    ];
    for (rate_type, tier_type, tiers, (from, quantity, cost), charged) in table {
        let charge = meter(rate_type, tier_type, tiers).charge(from, usage(quantity, cost));
        let charge = charge.unwrap();
        assert_eq!(charge.amount.to_string(), charged, "{tier_type:?} {tiers:?} {quantity}");
    }
}

#[test]
fn the_breakdown_names_each_tier_and_what_lay_in_it() {
    let ladder = meter(RateType::Fixed, TierType::Tokens, LADDER);
    let charge = ladder.charge(500_000, usage(10_000_000, "0")).unwrap();
    let parts: Vec<_> = charge
        .parts
        .iter()
        .map(|part| (part.tier.start, part.quantity, part.cost))
        .collect();
    let expected = [
        (0, 500_000, money("2.5")),
        (1_000_000, 9_000_000, money("27")),
        (10_000_000, 500_000, money("0.5")),
    ];
    assert_eq!((charge.amount, &parts[..]), (money("30"), &expected[..]));
    let percentage = meter(RateType::Percentage, TierType::Tokens, &[(0, "10")]);
    let charge = percentage.charge(0, usage(0, "2")).unwrap();
    assert_eq!((charge.parts[0].quantity, charge.parts[0].cost), (0, money("0.2")));
}

#[test]
fn tiers_that_are_no_ladder_are_refused_by_their_field() {
    let tiers = |starts: &[u64]| {
        let tier = |start: &u64| Tier {
            start: *start,
            rate: Money::ZERO,
        };
        Tiers::new(starts.iter().map(tier).collect())
    };
    let many: Vec<u64> = (0..101).collect();
    let table: [(&[u64], &str); 7] = [
        (&[], "tiers"),
        (&many, "tiers"),
        (&[1], "tiers[0].start"),
        (&[1, 0], "tiers[0].start"),
        (&[0, 0], "tiers[1].start"),
        (&[0, 5, 4], "tiers[2].start"),
        (&[0, HIGHEST_START + 1], "tiers[1].start"),
    ];
    for (starts, param) in table {
        assert_eq!(tiers(starts).unwrap_err().param(), param, "{starts:?}");
    }
    assert_eq!(tiers(&many[..100]).unwrap().as_slice().len(), 100);
    let negative = Tier {
        start: 0,
        rate: Money::from_nanos(-1),
    };
    assert_eq!(Tiers::new(vec![negative]).unwrap_err().param(), "tiers[0].rate");
}

#[test]
fn what_is_too_large_is_an_error() {
    let tiers = [(0, "9223372036.854775807")];
    for (rate_type, tier_type) in [
        (RateType::Fixed, TierType::Tokens),
        (RateType::Fixed, TierType::Requests),
        (RateType::Percentage, TierType::Tokens),
    ] {
        let dear = meter(rate_type, tier_type, &tiers);
        let most = Metered {
            quantity: u64::MAX,
            provider_cost: Money::MAX,
        };
        assert_eq!(dear.charge(0, most), Err(ChargeOverflow));
        assert_eq!(dear.upper_bound(0, most), Err(ChargeOverflow));
        assert_eq!(dear.charge(u64::MAX, usage(1, "1")), Err(ChargeOverflow));
    }
}

fn any_meter() -> impl Strategy<Value = Meter> {
    let tier_type = proptest::sample::select(vec![
        TierType::Tokens,
        TierType::Characters,
        TierType::Minutes,
        TierType::Requests,
    ]);
    let rate_type = proptest::sample::select(vec![RateType::Fixed, RateType::Percentage]);
    let steps = proptest::collection::vec((1u64..2_000, 0i64..30_000_000_000), 1..6);
    (rate_type, tier_type, steps).prop_map(|(rate_type, tier_type, steps)| {
        let mut start = 0;
        let mut tiers = Vec::new();
        for (step, rate) in steps {
            let rate = Money::from_nanos(rate);
            tiers.push(Tier { start, rate });
            start += step;
        }
        Meter {
            rate_type,
            tier_type,
            tiers: Tiers::new(tiers).unwrap(),
            ..meter(rate_type, tier_type, &[(0, "0")])
        }
    })
}

fn any_usage() -> impl Strategy<Value = Metered> {
    (0u64..200_000, 0i64..5_000_000_000).prop_map(|(quantity, cost)| Metered {
        quantity,
        provider_cost: Money::from_nanos(cost),
    })
}

fn total(meter: &Meter, from: u64, pieces: &[u64]) -> Money {
    let (mut from, mut sum) = (from, Money::ZERO);
    for quantity in pieces {
        sum = sum
            .checked_add(meter.charge(from, usage(*quantity, "0")).unwrap().amount)
            .unwrap();
        from += quantity;
    }
    sum
}

proptest! {
    #[test]
    fn any_split_of_the_same_usage_in_any_order_totals_the_same(
        meter in any_meter(),
        from in 0u64..100_000,
        mut pieces in proptest::collection::vec(0u64..50_000, 1..20),
    ) {
        let meter = Meter { rate_type: RateType::Fixed, ..meter };
        let whole = total(&meter, from, &[pieces.iter().sum()]);
        prop_assert_eq!(total(&meter, from, &pieces), whole);
        pieces.reverse();
        prop_assert_eq!(total(&meter, from, &pieces), whole);
    }

    #[test]
    fn a_charge_is_what_each_unit_costs_alone(meter in any_meter(), from in 0u64..5_000, quantity in 0u64..3_000) {
        let meter = Meter { rate_type: RateType::Fixed, tier_type: TierType::Requests, ..meter };
        let rate = |unit: u64| meter.tiers.0.iter().rev().find(|tier| tier.start <= unit).unwrap().rate.nanos();
        let expected: i64 = (from..from + quantity).map(rate).sum();
        prop_assert_eq!(meter.charge(from, usage(quantity, "0")).unwrap().amount.nanos(), expected);
    }

    #[test]
    fn the_parts_add_up_to_the_charge(meter in any_meter(), from in 0u64..100_000, used in any_usage()) {
        let charge = meter.charge(from, used).unwrap();
        let sum: i64 = charge.parts.iter().map(|part| part.cost.nanos()).sum();
        prop_assert_eq!(sum, charge.amount.nanos());
        prop_assert_eq!(charge.parts.iter().map(|part| part.quantity).sum::<u64>(), used.quantity);
        prop_assert!(charge.parts.iter().all(|part| part.cost >= Money::ZERO));
    }

    #[test]
    fn no_usage_within_a_bound_costs_more_than_the_bound(
        meter in any_meter(),
        from in 0u64..100_000,
        others in 0u64..100_000,
        bound in any_usage(),
        (used, cost) in (0u64..=100, 0i64..=100),
    ) {
        let real = Metered {
            quantity: bound.quantity * used / 100,
            provider_cost: Money::from_nanos(bound.provider_cost.nanos() * cost / 100),
        };
        let charge = meter.charge(from + others, real).unwrap();
        prop_assert!(charge.amount <= meter.upper_bound(from, bound).unwrap());
    }
}
