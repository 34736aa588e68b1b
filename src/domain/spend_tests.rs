//! The hold machine, by tables in text and by properties.

use super::*;
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};
use crate::domain::key::{OnDisconnect, RequestLimit, RequestShape, SpendLimit};
use crate::domain::rate::RateLimit;
use proptest::prelude::*;

#[path = "attempt_tests.rs"]
mod attempts;
#[path = "cycle_walk_tests.rs"]
mod walks;

const DAY_MS: i64 = 86_400_000;

fn settings() -> KeySettings {
    KeySettings {
        id: SpendKeyId::from_bits(2),
        merchant_id: MerchantId::from_bits(4),
        wallet_id: WalletId::from_bits(6),
        secret_version: 1,
        name: "key".into(),
        status: KeyStatus::Active,
        request_shape: RequestShape::OpenAi,
        allowed_models: None,
        allowed_providers: None,
        allowed_ips: None,
        spend_limit: Some(SpendLimit {
            amount: money("1.00"),
            cycle: Cycle::Daily,
        }),
        request_limit: None,
        rate_limit: None,
        max_parallel: None,
        enforcement: Enforcement::Strict,
        on_disconnect: OnDisconnect::Drain,
        timezone: Tz::UTC,
        expires_at_ms: None,
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn at(wall_ms: i64) -> Now {
    Now {
        wall_ms,
        monotonic_us: u64::try_from(wall_ms).unwrap() * 1000,
    }
}

fn call(amount: Money) -> Call {
    Call {
        secret_version: 1,
        shape: Some(RequestShape::OpenAi),
        model: Some("gpt-4o-mini".into()),
        provider: "openai".into(),
        address: Some("10.1.2.3".parse().unwrap()),
        claim: Claim::exactly(amount),
        attempt: Attempt::First,
    }
}

fn fresh(settings: &KeySettings) -> SpendState {
    SpendState::load(&StoredCounters::default(), settings.timezone, at(0))
}

/// One line a step: `reserve AMOUNT -> ok|busy|spent`, `settle AMOUNT` (the oldest hold), `release`, `advance MS`,
/// `spent AMOUNT`, `held AMOUNT`.
fn play(settings: &KeySettings, script: &str) {
    let (mut state, mut now, mut holds) = (fresh(settings), 0, Vec::new());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let counter = |state: &SpendState| *state.counter(Cycle::Daily);
        match words[..] {
            ["reserve", amount, "->", expected] => {
                let outcome = match state.reserve(settings, &call(money(amount)), at(now)) {
                    Ok(hold) => {
                        holds.push(hold);
                        "ok"
                    }
                    Err(Denial::Busy(_)) => "busy",
                    Err(Denial::SpendLimit(_)) => "spent",
                    Err(other) => panic!("{line}: {other:?}"),
                };
                assert_eq!(outcome, expected, "{line}");
            }
            ["settle", amount] => state.settle(holds.remove(0), money(amount)),
            ["release"] => state.release(settings, holds.remove(0)),
            ["advance", milliseconds] => {
                now += milliseconds.parse::<i64>().unwrap();
                state.advance(settings.timezone, at(now));
            }
            ["spent", amount] => assert_eq!(counter(&state).spent, money(amount), "{line}"),
            ["held", amount] => assert_eq!(counter(&state).held, money(amount), "{line}"),
            _ => panic!("not a step: {line}"),
        }
    }
}

#[test]
fn strict_admits_only_what_fits_beside_settled_spend_and_holds() {
    play(
        &settings(),
        "
        reserve 0.60 -> ok
        reserve 0.40 -> ok
        reserve 0.01 -> busy
        settle 0.10
        held 0.40
        spent 0.10
        reserve 0.51 -> busy
        reserve 0.91 -> spent
        reserve 0.50 -> ok
        release
        reserve 0.40 -> ok
        settle 0.50
        settle 0.40
        spent 1.00
        reserve 0.00 -> spent
        advance 86400000
        spent 0.00
        reserve 1.00 -> ok
    ",
    );
}

#[test]
fn a_charge_stays_with_the_day_of_its_admission() {
    play(
        &settings(),
        "
        advance 86399000
        reserve 0.90 -> ok
        advance 2000
        spent 0.00
        held 0.00
        reserve 1.00 -> ok
        settle 0.90
        spent 0.00
        settle 0.70
        spent 0.70
        held 0.00
    ",
    );
}

#[test]
fn a_call_of_yesterday_is_topped_up_from_yesterdays_limit() {
    let settings = settings();
    let mut state = fresh(&settings);
    let mut hold = state.reserve(&settings, &call(money("0.90")), at(DAY_MS - 1)).unwrap();
    let more = |amount| Claim::exactly(money(amount));
    assert!(state.extend(&settings, &mut hold, more("0.20"), at(DAY_MS)).is_err());
    assert_eq!(
        state.extend(&settings, &mut hold, more("0.10"), at(DAY_MS)),
        Ok(money("0.10"))
    );
    state.settle(hold, money("1.00"));
    assert_eq!(state.counter(Cycle::Daily).spent, Money::ZERO);
    assert_eq!(state.counter(Cycle::Total).spent, money("1.00"));
}

#[test]
fn soft_admits_while_settled_spend_is_below_the_limit_and_observe_always() {
    let soft = KeySettings {
        enforcement: Enforcement::Soft,
        ..settings()
    };
    play(
        &soft,
        "reserve 5.00 -> ok\n reserve 5.00 -> ok\n settle 0.99\n reserve 5.00 -> ok\n settle 0.01\n reserve 0.01 -> spent",
    );
    let observe = KeySettings {
        enforcement: Enforcement::Observe,
        ..settings()
    };
    play(
        &observe,
        "reserve 5.00 -> ok\n settle 5.00\n reserve 5.00 -> ok\n spent 5.00",
    );
}

#[test]
fn an_adaptive_call_takes_the_slice_that_is_left() {
    let settings = KeySettings {
        enforcement: Enforcement::Adaptive,
        ..settings()
    };
    let mut state = fresh(&settings);
    let claim = Claim {
        minimum: money("0.10"),
        wanted: money("0.70"),
    };
    let first = state
        .reserve(
            &settings,
            &Call {
                claim,
                ..call(Money::ZERO)
            },
            at(0),
        )
        .unwrap();
    let second = state
        .reserve(
            &settings,
            &Call {
                claim,
                ..call(Money::ZERO)
            },
            at(0),
        )
        .unwrap();
    assert_eq!((first.amount, second.amount), (money("0.70"), money("0.30")));
}

#[test]
fn each_setting_has_its_denial() {
    let base = settings();
    let free = call(Money::ZERO);
    let table = [
        (
            KeySettings {
                secret_version: 2,
                ..base.clone()
            },
            Denial::Invalid,
        ),
        (
            KeySettings {
                status: KeyStatus::Paused,
                ..base.clone()
            },
            Denial::Paused,
        ),
        (
            KeySettings {
                status: KeyStatus::Revoked,
                ..base.clone()
            },
            Denial::Invalid,
        ),
        (
            KeySettings {
                expires_at_ms: Some(1000),
                ..base.clone()
            },
            Denial::Expired,
        ),
        (
            KeySettings {
                request_shape: RequestShape::Anthropic,
                ..base.clone()
            },
            Denial::ShapeMismatch {
                expected: RequestShape::Anthropic,
            },
        ),
        (
            KeySettings {
                allowed_models: Some(vec!["gpt-4o".into()]),
                ..base.clone()
            },
            Denial::ModelNotAllowed,
        ),
        (
            KeySettings {
                allowed_providers: Some(vec!["anthropic".into()]),
                ..base.clone()
            },
            Denial::ProviderNotAllowed,
        ),
        (
            KeySettings {
                allowed_ips: Some(vec!["10.2.0.0/16".parse().unwrap()]),
                ..base.clone()
            },
            Denial::IpNotAllowed,
        ),
        (
            KeySettings {
                max_parallel: Some(0),
                ..base.clone()
            },
            Denial::TooManyParallel { limit: 0 },
        ),
        (
            KeySettings {
                request_limit: Some(RequestLimit {
                    count: 0,
                    cycle: Cycle::Total,
                }),
                ..base.clone()
            },
            Denial::RequestLimit {
                limit: 0,
                cycle: Cycle::Total,
                resets_at: None,
            },
        ),
    ];
    for (settings, denial) in table {
        let mut state = fresh(&settings);
        assert_eq!(state.reserve(&settings, &free, at(1000)), Err(denial));
        assert_eq!(state, {
            let mut untouched = fresh(&settings);
            untouched.advance(Tz::UTC, at(1000));
            untouched
        });
    }
}

#[test]
fn the_token_bucket_paces_admissions_and_a_release_gives_its_token_back() {
    let settings = KeySettings {
        rate_limit: Some(RateLimit {
            rpm: 60,
            burst: Some(1),
        }),
        ..settings()
    };
    let mut state = fresh(&settings);
    let hold = state.reserve(&settings, &call(Money::ZERO), at(0)).unwrap();
    assert!(
        matches!(state.reserve(&settings, &call(Money::ZERO), at(500)), Err(Denial::RateLimited(status)) if status.retry_in_us == 500_000)
    );
    state.release(&settings, hold);
    assert!(state.reserve(&settings, &call(Money::ZERO), at(500)).is_ok());
}

#[test]
fn stored_counters_count_in_their_own_window_only() {
    let stored = StoredCounters {
        windows: [
            (0, money("0.40"), 4),
            (0, money("0.50"), 5),
            (0, money("0.60"), 6),
            (0, money("0.70"), 7),
        ],
        last_used_ms: Some(1),
    };
    let state = SpendState::load(&stored, Tz::UTC, at(DAY_MS));
    assert_eq!(state.counter(Cycle::Daily).spent, Money::ZERO);
    assert_eq!(
        (
            state.counter(Cycle::Monthly).spent,
            state.counter(Cycle::Monthly).requests
        ),
        (money("0.60"), 6)
    );
    assert_eq!(state.counter(Cycle::Total).spent, money("0.70"));
}

proptest! {
    #[test]
    fn settled_and_held_never_pass_the_limit_on_any_walk(
        steps in prop::collection::vec((0u8..4, 0i64..400_000_000, 0i64..20_000_000), 1..200),
    ) {
        let settings = settings();
        let mut state = fresh(&settings);
        let (mut now, mut holds): (i64, Vec<Hold>) = (0, Vec::new());
        for (kind, amount, gap) in steps {
            now += gap;
            match kind {
                0 | 1 => holds.extend(state.reserve(&settings, &call(Money::from_nanos(amount)), at(now)).ok()),
                2 => if let Some(hold) = holds.pop() {
                    state.settle(hold, Money::from_nanos(amount).min(hold.amount));
                },
                _ => if let Some(mut hold) = holds.pop() {
                    drop(state.extend(&settings, &mut hold, Claim::exactly(Money::from_nanos(amount)), at(now)));
                    holds.push(hold);
                },
            }
            for counter in state.counters.iter().take(1).chain(state.ended.iter().filter(|(cycle, _)| *cycle == Cycle::Daily).map(|(_, counter)| counter)) {
                prop_assert!(counter.spent.saturating_add(counter.held) <= money("1.00"));
            }
        }
        for hold in holds.drain(..) {
            state.settle(hold, hold.amount);
        }
        prop_assert_eq!(state.open_calls(), 0);
        prop_assert!(state.counters.iter().all(|counter| counter.held == Money::ZERO) && state.ended.is_empty());
    }
}
