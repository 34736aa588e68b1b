//! A dollar of credit and thousands of callers at once, on every kind of meter, whole answers and streams.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Shop, meter};
use crate::support::crowd::{Connection, Seeded, Watch, connections_at_most, crowd, request};
use crate::support::house::{House, nanos};
use crate::support::server::secret_key;

const DOLLAR: i64 = 1_000_000_000;
const CALLERS: usize = 3_000;
const STREAMERS: usize = 1_000;
/// The longest answer that a call asks for.
const TOKENS_MAXIMUM: u64 = 404;
/// Ten dollars a million, by the meter and by what the provider takes for output.
const TOKEN_NANOS: i64 = 10_000;

fn sized(random: &mut Seeded, is_stream: bool) -> Value {
    let tokens = 5 + random.below(TOKENS_MAXIMUM - 4);
    let pace = if is_stream { "chunk_ms=1" } else { "" };
    let content = format!("[[sim output_tokens={tokens} {pace}]]");
    let messages = json!([{ "role": "user", "content": content }]);
    json!({ "model": "gpt-4o", "max_tokens": tokens, "stream": is_stream, "messages": messages })
}

/// What a spree was like.
#[derive(Default)]
struct Spree {
    served: usize,
    attempts: u32,
    /// Streams that were ended for want of credit; the simulated provider itself has no reason to.
    shortened: i64,
    /// The least credit that was seen while it ran.
    least: i64,
    samples: u32,
}

fn crowded_shop(meter: Value) -> Shop {
    let house = House::with(|settings| {
        settings
            .variable("CALDERA__GATEWAY__IN_FLIGHT_LIMIT", 20_000)
            .variable("CALDERA__SERVER__MAX_CONNECTIONS", 12_000)
            .variable("CALDERA__SERVER__FIRST_HEAD_TIMEOUT_S", 600)
            .variable("CALDERA__SPEND_KEYS__SLICE_TOKENS", 16)
    });
    Shop::in_house(house, meter, "1.00")
}

/// Makes all these calls, each on its own connection as far as there are any.
fn spend(shop: &Shop, bodies: &[Value]) -> Spree {
    let began = Instant::now();
    let spree = crowd(async {
        let line = Connection::open_many(shop.house.server.port, connections_at_most(bodies.len())).await;
        let least = Rc::new(Cell::new(i64::MAX));
        let seen = least.clone();
        let path = format!("/v1/customers/{}/subscription", shop.customer);
        let asked = request("GET", &path, secret_key(), None);
        let watch = Watch::begin(shop.house.server.port, asked, 10, move |shown| {
            let credit = nanos(&shown["subscription"]["credits"]["total_remaining"]);
            seen.set(seen.get().min(credit));
        })
        .await;
        let mut spree = call_at_once(line, &shop.token(), bodies).await;
        spree.samples = watch.end().await;
        spree.least = least.get();
        spree
    });
    eprintln!(
        "{} calls at once, {} attempts, {} served, {} shortened; {} nano-dollars left, {} at least in {} samples; {} ms",
        bodies.len(),
        spree.attempts,
        spree.served,
        spree.shortened,
        shop.credit(),
        spree.least,
        spree.samples,
        began.elapsed().as_millis()
    );
    spree
}

async fn call_at_once(line: Vec<Connection>, token: &str, bodies: &[Value]) -> Spree {
    let connections = line.len();
    let mut callers = JoinSet::new();
    for (place, mut connection) in line.into_iter().enumerate() {
        let own = bodies.iter().skip(place).step_by(connections);
        let own: Vec<_> = own
            .map(|body| request("POST", "/v1/chat/completions", token, Some(body)))
            .collect();
        callers.spawn_local(async move {
            let mut spree = Spree::default();
            for call in own {
                let (reply, attempts) = connection.call_as_clients_do(&call).await.expect("the server answers");
                assert!(matches!(reply.status, 200 | 402), "{}: {}", reply.status, reply.text());
                spree.served += usize::from(reply.status == 200);
                spree.attempts += attempts;
                spree.shortened += i64::from(reply.text().contains(r#""finish_reason":"length""#));
            }
            spree
        });
    }
    let mut all = Spree::default();
    while let Some(ended) = callers.join_next().await {
        let spree = ended.expect("no caller panics");
        all.served += spree.served;
        all.attempts += spree.attempts;
        all.shortened += spree.shortened;
    }
    all
}

fn bodies(seed: u64, count: usize, is_stream: bool) -> Vec<Value> {
    let mut random = Seeded(seed);
    (0..count).map(|_| sized(&mut random, is_stream)).collect()
}

fn assert_all_used(shop: &Shop, spree: &Spree, overshoot: i64) {
    shop.check_books();
    let rows = shop.number("SELECT COUNT(*) FROM requests WHERE customer_id IS NOT NULL");
    assert_eq!(rows, spree.served as i64, "as many rows as answers");
    let left = shop.credit();
    assert!(
        left >= -overshoot && spree.least >= -overshoot,
        "{left}, {} seen",
        spree.least
    );
    assert!(left * 100 <= DOLLAR * 5, "{left} could not be used");
    assert!(spree.samples > 3);
}

#[test]
fn thousands_of_calls_at_once_never_overdraw_a_dollar_and_use_nearly_all_of_it() {
    let table = [
        meter("fixed", "tokens_1m", &[(0, "10")]),
        // Dearer as more is used: what was held for a call must bound it whatever ends before it.
        meter("fixed", "tokens_1m", &[(0, "5"), (20_000, "10"), (50_000, "12")]),
        meter("percentage", "tokens_1m", &[(0, "100")]),
    ];
    for (seed, meter) in table.into_iter().enumerate() {
        let shop = crowded_shop(meter);
        let spree = spend(&shop, &bodies(seed as u64, CALLERS, false));
        assert_all_used(&shop, &spree, 0);
    }
}

#[test]
fn a_meter_of_requests_sells_exactly_as_many_as_there_is_credit_for() {
    let shop = crowded_shop(meter("fixed", "requests", &[(0, "0.002")]));
    let spree = spend(&shop, &bodies(4, CALLERS, false));
    assert_all_used(&shop, &spree, 0);
    assert_eq!((spree.served, shop.credit()), (500, 0));
}

#[test]
fn a_thousand_streams_at_once_overdraw_a_dollar_by_at_most_a_chunk_each() {
    let table = [
        meter("fixed", "tokens_1m", &[(0, "10")]),
        meter("percentage", "tokens_1m", &[(0, "100")]),
    ];
    for (seed, meter) in table.into_iter().enumerate() {
        let shop = crowded_shop(meter);
        let spree = spend(&shop, &bodies(seed as u64, STREAMERS, true));
        assert!(spree.shortened > 0, "no stream met the end of the credit");
        // A chunk is what one read brings: a whole answer at most.
        let overshoot = spree.shortened * TOKENS_MAXIMUM as i64 * TOKEN_NANOS;
        assert_all_used(&shop, &spree, overshoot);
    }
}
