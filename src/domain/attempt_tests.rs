//! A call that goes on to another provider: counted once, held and charged each time.

use super::*;

fn later(amount: Money) -> Call {
    Call {
        attempt: Attempt::Later,
        ..call(amount)
    }
}

fn paced() -> KeySettings {
    KeySettings {
        request_limit: Some(RequestLimit {
            count: 1,
            cycle: Cycle::Daily,
        }),
        rate_limit: Some(RateLimit { rpm: 1, burst: None }),
        max_parallel: Some(1),
        ..settings()
    }
}

#[test]
fn a_later_attempt_is_no_further_request_and_takes_no_token() {
    let settings = paced();
    let mut state = fresh(&settings);
    let first = state.reserve(&settings, &call(money("0.30")), at(0)).unwrap();
    assert_eq!(
        state.reserve(&settings, &later(money("0.30")), at(0)),
        Err(Denial::TooManyParallel { limit: 1 }),
        "the first has not ended"
    );
    state.settle(first, money("0.10"));
    let second = state.reserve(&settings, &later(money("0.90")), at(0)).unwrap();
    assert_eq!(state.counter(Cycle::Daily).requests, 1);
    assert_eq!(state.counter(Cycle::Daily).held, money("0.90"));
    state.settle(second, money("0.85"));
    assert_eq!(state.counter(Cycle::Daily).spent, money("0.95"));
    assert!(matches!(
        state.reserve(&settings, &later(money("0.06")), at(0)),
        Err(Denial::SpendLimit(_))
    ));
    assert!(matches!(
        state.reserve(&settings, &call(money("0.01")), at(0)),
        Err(Denial::RateLimited(_))
    ));
}

#[test]
fn the_release_of_a_later_attempt_gives_back_nothing_that_it_did_not_take() {
    let settings = paced();
    let mut state = fresh(&settings);
    let first = state.reserve(&settings, &call(money("0.30")), at(0)).unwrap();
    state.settle(first, Money::ZERO);
    let second = state.reserve(&settings, &later(money("0.30")), at(0)).unwrap();
    state.release(&settings, second);
    let counter = state.counter(Cycle::Daily);
    assert_eq!(
        (counter.requests, counter.held, state.open_calls()),
        (1, Money::ZERO, 0)
    );
    assert!(matches!(
        state.reserve(&settings, &call(money("0.01")), at(0)),
        Err(Denial::RateLimited(_))
    ));
}

#[test]
fn every_other_denial_stands_for_a_later_attempt_too() {
    let denied = |settings: KeySettings, call: &Call| fresh(&settings).reserve(&settings, call, at(0)).unwrap_err();
    let model = KeySettings {
        allowed_models: Some(vec!["claude-*".into()]),
        ..settings()
    };
    let paused = KeySettings {
        status: KeyStatus::Paused,
        ..settings()
    };
    let amount = money("0.01");
    assert_eq!(denied(model, &later(amount)), Denial::ModelNotAllowed);
    assert_eq!(denied(paused, &later(amount)), Denial::Paused);
    assert!(matches!(
        denied(settings(), &later(money("1.01"))),
        Denial::SpendLimit(_)
    ));
}
