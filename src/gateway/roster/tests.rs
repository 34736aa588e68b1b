//! The roster by itself: places, pages, whose calls are whose, and what is counted for whom.

use std::rc::Rc;

use tokio::sync::oneshot;

use super::super::live_call::{EndedBy, EndedCall, Facts, LiveCall, Priced};
use super::super::provider::EndpointKind;
use super::*;
use crate::domain::request::{ProviderKeyType, UsageSource};
use crate::domain::spend::Admission;
use crate::gateway::dialect::Speech;

const MERCHANT: MerchantId = MerchantId::from_bits(2);

fn call(id: u128, wallet: u128, key: Option<u128>) -> LiveCall {
    let admitted = OpenRequest {
        id: RequestId::from_bits(id),
        attempt_of: None,
        merchant_id: MERCHANT,
        wallet_id: WalletId::from_bits(wallet),
        spend_key_id: key.map(SpendKeyId::from_bits),
        admission: Admission {
            day_start: 0,
            week_start: 0,
            month_start: 0,
        },
        admitted_at_ms: 0,
        hold: Money::ZERO,
        price_version: 1,
        provider_key_type: ProviderKeyType::Managed,
        streaming: true,
        simulated: false,
        input_estimate: Money::from_nanos(500),
        output_nanos_per_million: 2_000_000,
        provider: "openai".into(),
        model: Some("gpt-4o-mini".into()),
        endpoint: "POST https://api.openai.com/v1/chat/completions".into(),
        metadata: String::new(),
        metered: None,
    };
    let facts = Facts {
        admitted,
        key: None,
        speech: Speech::OpenAi,
        endpoint: EndpointKind::Chat,
        attempt: 1,
        priced: Priced::Yes,
    };
    LiveCall::new(facts, None)
}

fn all() -> CallsOf {
    CallsOf {
        merchant_id: MERCHANT,
        wallet_id: None,
        spend_key_id: None,
    }
}

fn ids(roster: &Roster, of: CallsOf, before: Option<u128>, most: usize) -> Vec<u128> {
    let (calls, _) = roster.newest(of, before.map(RequestId::from_bits), most);
    calls.iter().map(|call| call.facts.admitted.id.bits()).collect()
}

fn ending(nanos: i64) -> EndedCall {
    EndedCall {
        by: EndedBy::Itself,
        cost: Money::from_nanos(nanos),
        output_tokens: 3,
        usage_source: UsageSource::Provider,
    }
}

#[test]
fn calls_enter_and_leave_in_any_order_and_the_rest_stays() {
    let roster = Rc::new(Roster::default());
    let mut listed: Vec<_> = (1..=8).map(|id| roster.enter(call(id, 1, None))).collect();
    for (leaving, left) in [
        (3, vec![8, 7, 6, 5, 3, 2, 1]),
        (0, vec![8, 7, 6, 5, 3, 2]),
        (5, vec![7, 6, 5, 3, 2]),
        (0, vec![7, 6, 5, 3]),
    ] {
        listed.remove(leaving);
        assert_eq!(ids(&roster, all(), None, 10), left);
    }
    assert_eq!(ids(&roster, all(), Some(6), 1), [5]);
    listed.clear();
    assert_eq!(roster.newest(all(), None, 10).1, 0);
}

#[test]
fn calls_are_those_of_a_merchant_of_a_wallet_or_of_a_key() {
    let roster = Rc::new(Roster::default());
    let _calls =
        [(1, 1, Some(4)), (2, 1, None), (3, 5, Some(6))].map(|(id, wallet, key)| roster.enter(call(id, wallet, key)));
    let of_wallet = CallsOf {
        wallet_id: Some(WalletId::from_bits(1)),
        ..all()
    };
    let of_key = CallsOf {
        spend_key_id: Some(SpendKeyId::from_bits(6)),
        ..all()
    };
    let of_another = CallsOf {
        merchant_id: MerchantId::from_bits(4),
        ..all()
    };
    for (of, wanted) in [
        (all(), vec![3, 2, 1]),
        (of_wallet, vec![2, 1]),
        (of_key, vec![3]),
        (of_another, vec![]),
    ] {
        assert_eq!(ids(&roster, of, None, 10), wanted);
        for id in 1..=3 {
            let found = roster.find(of, RequestId::from_bits(id)).is_some();
            assert_eq!(found, wanted.contains(&id), "{id} of {of:?}");
            let (reply, mut told) = oneshot::channel();
            roster.end(of, RequestId::from_bits(id), reply);
            let is_gone = told.try_recv() == Err(oneshot::error::TryRecvError::Closed);
            assert_eq!(is_gone, !found, "whoever may not see a call may not end it");
        }
    }
}

#[test]
fn what_a_call_costs_so_far_follows_its_tokens() {
    let roster = Rc::new(Roster::default());
    let listed = roster.enter(call(1, 1, None));
    listed.note_tokens(300);
    listed.note_held(Some(Money::from_nanos(2_000)));
    let view = roster.find(all(), RequestId::from_bits(1)).unwrap();
    assert_eq!((view.output_tokens, view.cost), (300, Some(Money::from_nanos(1_100))));
    assert_eq!(roster.figures(all(), 0).held, Money::from_nanos(2_000));
}

#[test]
fn ended_calls_are_counted_only_while_somebody_asks() {
    let roster = Rc::new(Roster::default());
    let end = |id, nanos, now_ms| roster.enter(call(id, 1, None)).ended(ending(nanos), now_ms);
    let counted = |now_ms| {
        let figures = roster.figures(all(), now_ms);
        (figures.ended_count, figures.ended_cost.nanos())
    };
    end(1, 10, 0);
    assert_eq!(counted(0), (0, 0), "nobody had asked");
    end(2, 10, 100);
    end(3, 5, 900);
    assert_eq!(counted(1_000), (2, 15));
    end(4, 10, 1_000 + TALLY_LEASE_MS);
    assert!(roster.tallies.borrow().is_empty(), "nobody asks any more");
    assert_eq!(counted(20_000), (0, 0));
}

#[test]
fn who_asks_for_an_end_learns_whether_it_came_of_that() {
    let roster = Rc::new(Roster::default());
    let end = |call: &Listed| {
        let (reply, told) = oneshot::channel();
        roster.end(all(), call.facts.admitted.id, reply);
        told
    };
    let call_1 = roster.enter(call(1, 1, None));
    let mut told = end(&call_1);
    call_1.ended(ending(7), 0);
    assert_eq!(told.try_recv().unwrap(), ending(7), "it had not looked");
    let call_2 = roster.enter(call(2, 1, None));
    let (mut one, mut other) = (end(&call_2), end(&call_2));
    assert!(call_2.must_end());
    call_2.ended(ending(7), 0);
    for told in [&mut one, &mut other] {
        assert_eq!(told.try_recv().unwrap().by, EndedBy::Owner);
    }
}

#[test]
#[ignore = "a measurement"]
fn what_a_call_and_a_chunk_cost_here() {
    let roster = Rc::new(Roster::default());
    let _others: Vec<_> = (1..=1_000).map(|id| roster.enter(call(id, 1, None))).collect();
    let time = |what: &str, mut work: Box<dyn FnMut()>| {
        let (count, began) = (1_000_000, std::time::Instant::now());
        for _ in 0..count {
            work();
        }
        println!("{what}: {} ns", began.elapsed().as_nanos() / count);
    };
    let own = roster.clone();
    time(
        "a call made, as without the roster",
        Box::new(|| drop(std::hint::black_box(call(7, 1, None)))),
    );
    time(
        "a call made, entered, ended and left",
        Box::new(move || own.enter(call(7, 1, None)).ended(ending(1), 0)),
    );
    let listed = roster.enter(call(7, 1, None));
    let waker = futures_util::task::noop_waker();
    time(
        "a chunk: its tokens, a look, a wait",
        Box::new(move || {
            let context = std::task::Context::from_waker(&waker);
            listed.note_tokens(std::hint::black_box(3));
            assert!(!listed.must_end() && !listed.poll_end(&context));
        }),
    );
}
