//! One dollar and thousands of callers at once: a limit is a limit, and nearly all of it can be used.
//! By default five runs have ten thousand calls at once and the other fifteen have a thousand; with
//! `CALDERA_LONG_TESTS=1` every run has ten thousand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::crowd::{Connection, Seeded, Watch, connections_at_most, crowd, request};
use crate::support::house::{House, nanos};
use crate::support::server::{eventually, secret_key};

const DOLLAR: i64 = 1_000_000_000;
const RUNS: u64 = 20;
/// Runs that have many calls in every case.
const RUNS_OF_MANY: u64 = 5;
const MANY: usize = 10_000;
const FEW: usize = 1_000;
/// The longest answer that a call asks for.
const TOKENS_MAXIMUM: u64 = 404;
/// Ten dollars a million.
const TOKEN_NANOS: i64 = 10_000;

/// A call of random size on a model that costs ten dollars a million output tokens.
fn sized_call(random: &mut Seeded) -> Value {
    let tokens = 5 + random.below(TOKENS_MAXIMUM - 4);
    let content = format!("[[sim output_tokens={tokens}]]");
    json!({ "model": "gpt-4o", "max_tokens": tokens, "messages": [{ "role": "user", "content": content }] })
}

fn sized_stream(random: &mut Seeded) -> Value {
    let tokens = 5 + random.below(TOKENS_MAXIMUM - 4);
    let content = format!("[[sim output_tokens={tokens} chunk_ms=1]]");
    let messages = json!([{ "role": "user", "content": content }]);
    json!({ "model": "gpt-4o", "max_tokens": tokens, "stream": true, "messages": messages })
}

/// What one run was like.
struct Spree {
    calls: usize,
    /// The most that was ever seen settled, and settled and held together.
    most_spent: i64,
    most_taken: i64,
    spent: i64,
    samples: u32,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    served: usize,
    attempts: u32,
    /// Streams that were ended for the limit; the simulated provider itself has no reason to.
    shortened: i64,
}

/// Spends a dollar by so many calls at once, each on its own connection as far as there are any.
async fn spend_a_dollar(house: &House, line: &mut Vec<Connection>, enforcement: &str, bodies: Vec<Value>) -> Spree {
    let limit = json!({ "amount": "1.00", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "a dollar", "spend_limit": limit, "enforcement": enforcement }));
    let (spent, taken) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (most_spent, most_taken) = (spent.clone(), taken.clone());
    let asked = request("GET", &format!("/v1/spend_keys/{id}"), secret_key(), None);
    let watch = Watch::begin(house.server.port, asked, 10, move |shown| {
        let (settled, held) = (nanos(&shown["current_spend"]), nanos(&shown["reserved_spend"]));
        spent.set(spent.get().max(settled));
        taken.set(taken.get().max(settled + held));
    })
    .await;
    let calls = bodies.len();
    let counts = call_at_once(line, &key, &bodies).await;
    let samples = watch.end().await;
    let shown = house.settled(&id);
    assert_eq!(
        shown["total_requests"], counts.served,
        "as many were counted as were served"
    );
    Spree {
        calls,
        most_spent: most_spent.get(),
        most_taken: most_taken.get(),
        spent: nanos(&shown["current_spend"]),
        samples,
        counts,
    }
}

async fn call_at_once(line: &mut Vec<Connection>, key: &str, bodies: &[Value]) -> Counts {
    let mut callers = JoinSet::new();
    let connections = line.len().min(bodies.len());
    for (place, mut connection) in line.drain(..connections).enumerate() {
        let own = bodies.iter().skip(place).step_by(connections);
        let own: Vec<_> = own
            .map(|body| request("POST", "/v1/chat/completions", key, Some(body)))
            .collect();
        callers.spawn_local(async move {
            let mut counts = Counts::default();
            for call in own {
                let (reply, attempts) = connection.call_as_clients_do(&call).await.expect("the server answers");
                assert!(matches!(reply.status, 200 | 402), "{}: {}", reply.status, reply.text());
                counts.served += usize::from(reply.status == 200);
                counts.attempts += attempts;
                counts.shortened += i64::from(reply.text().contains(r#""finish_reason":"length""#));
            }
            (connection, counts)
        });
    }
    let mut all = Counts::default();
    while let Some(ended) = callers.join_next().await {
        let (connection, counts) = ended.expect("no caller panics");
        line.push(connection);
        all.served += counts.served;
        all.attempts += counts.attempts;
        all.shortened += counts.shortened;
    }
    all
}

fn crowded_house(slice_tokens: u32) -> House {
    House::with(|settings| {
        settings
            .variable("CALDERA__GATEWAY__IN_FLIGHT_LIMIT", 20_000)
            .variable("CALDERA__SERVER__MAX_CONNECTIONS", 12_000)
            // The last of ten thousand may have to wait long on a small machine.
            .variable("CALDERA__SERVER__FIRST_HEAD_TIMEOUT_S", 600)
            .variable("CALDERA__SPEND_KEYS__SLICE_TOKENS", slice_tokens)
    })
}

fn rows_agree(house: &House, served: usize) {
    eventually("the rows are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == served as i64
    });
    house.books_agree();
}

#[test]
fn ten_thousand_calls_at_once_never_overspend_a_strict_dollar_and_use_nearly_all_of_it() {
    let connections = connections_at_most(MANY);
    let house = crowded_house(512);
    let all_long = std::env::var_os("CALDERA_LONG_TESTS").is_some();
    let served = crowd(async {
        let mut line = Connection::open_many(house.server.port, connections).await;
        let mut served = 0;
        for run in 0..RUNS {
            let calls = if run < RUNS_OF_MANY || all_long { MANY } else { FEW };
            let mut random = Seeded(run);
            let bodies = (0..calls).map(|_| sized_call(&mut random)).collect();
            let began = Instant::now();
            let spree = spend_a_dollar(&house, &mut line, "strict", bodies).await;
            report("strict", run, &spree, began);
            assert!(
                spree.most_spent <= DOLLAR && spree.spent <= DOLLAR,
                "seed {run}: {}",
                spree.spent
            );
            assert!(
                spree.most_taken <= DOLLAR,
                "seed {run}: {} settled and held",
                spree.most_taken
            );
            assert!(
                spree.spent * 100 >= DOLLAR * 95,
                "seed {run}: only {} could be used",
                spree.spent
            );
            served += spree.counts.served;
        }
        served
    });
    rows_agree(&house, served);
    eprintln!("strict: {RUNS} runs over {connections} connections, overshoot 0");
}

#[test]
fn a_thousand_streams_at_once_pass_an_adaptive_dollar_by_at_most_a_chunk_each() {
    let house = crowded_house(16);
    let (served, shortened) = crowd(async {
        let mut line = Connection::open_many(house.server.port, connections_at_most(FEW)).await;
        let mut random = Seeded(7);
        let bodies = (0..FEW).map(|_| sized_stream(&mut random)).collect();
        let began = Instant::now();
        let spree = spend_a_dollar(&house, &mut line, "adaptive", bodies).await;
        report("adaptive", 0, &spree, began);
        // A chunk is what one read brings: a whole answer at most, and only a stream that was ended can pass.
        let bound = DOLLAR + spree.counts.shortened * TOKENS_MAXIMUM as i64 * TOKEN_NANOS;
        assert!(
            spree.most_spent <= bound && spree.spent <= bound,
            "{} above {bound}",
            spree.spent
        );
        assert!(spree.spent * 100 >= DOLLAR * 95, "only {} could be used", spree.spent);
        (spree.counts.served, spree.counts.shortened)
    });
    assert!(shortened > 0, "no stream met the limit");
    rows_agree(&house, served);
}

fn report(enforcement: &str, run: u64, spree: &Spree, began: Instant) {
    eprintln!(
        "{enforcement} {run}: {} calls at once, {} attempts, {} served, {} shortened; {} nano-dollars spent, \
         {} seen settled, {} seen settled and held, in {} samples; {} ms",
        spree.calls,
        spree.counts.attempts,
        spree.counts.served,
        spree.counts.shortened,
        spree.spent,
        spree.most_spent,
        spree.most_taken,
        spree.samples,
        began.elapsed().as_millis()
    );
}
