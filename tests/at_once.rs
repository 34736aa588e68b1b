//! A thousand callers at once on one dollar, and calls that end in every way there is: nothing is overspent, nothing
//! stays held.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::house::{House, chat, chat_stream, nanos};
use crate::support::server::eventually;
use crate::support::stream::EventStream;

const DOLLAR: i64 = 1_000_000_000;

/// How many call at once.
const CALLERS: u64 = 1_000;

/// A call of random size on a model that costs ten dollars a million output tokens.
fn sized_call(seed: u64) -> Value {
    let tokens = 5 + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 200;
    let content = format!("[[sim output_tokens={tokens}]]");
    json!({ "model": "gpt-4o", "max_tokens": tokens, "messages": [{ "role": "user", "content": content }] })
}

/// Calls from a thousand threads until the key has no more room, as the SDKs do: a 429 is tried again, a 402 ends.
fn spend_it_all(house: &House, key: &str, body: &(dyn Fn(u64) -> Value + Sync)) {
    let deadline = Instant::now() + Duration::from_secs(90);
    let spend = |caller: u64| {
        let client = house.caller(key);
        let mut refused = 0;
        for round in 0..10_000 {
            let answer = client.post("/v1/chat/completions", &body(round * CALLERS + caller));
            match answer.status {
                200 => {}
                429 => thread::sleep(Duration::from_millis(20 + caller % 80)),
                402 => refused += 1,
                other => panic!("{other}: {}", answer.text()),
            }
            if refused >= 2 || Instant::now() > deadline {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let thread = thread::Builder::new().stack_size(256 << 10);
            thread.spawn_scoped(scope, move || spend(caller)).unwrap();
        }
    });
}

/// Samples a key's spend until told to stop, and returns the highest that it saw.
fn watch_spend(house: &House, id: &str, stop: &AtomicBool) -> i64 {
    let mut highest = 0;
    while !stop.load(Ordering::SeqCst) {
        highest = highest.max(nanos(&house.key(id)["current_spend"]));
        thread::sleep(Duration::from_millis(10));
    }
    highest
}

/// Spends a dollar by a thousand callers; the highest spend that was ever seen, and what it came to.
fn spend_a_dollar(house: &House, enforcement: &str, body: &(dyn Fn(u64) -> Value + Sync)) -> (i64, i64) {
    let limit = json!({ "amount": "1.00", "cycle": "total" });
    let (id, key) = house.mint(json!({ "name": "a dollar", "spend_limit": limit, "enforcement": enforcement }));
    let stop = AtomicBool::new(false);
    let highest = thread::scope(|scope| {
        let watch = scope.spawn(|| watch_spend(house, &id, &stop));
        spend_it_all(house, &key, body);
        stop.store(true, Ordering::SeqCst);
        watch.join().unwrap()
    });
    let shown = house.settled(&id);
    let rows = shown["total_requests"].as_i64().unwrap();
    eventually("the rows are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == rows
    });
    house.books_agree();
    let spent = nanos(&shown["current_spend"]);
    eprintln!("{enforcement}: {rows} calls spent {spent} nano-dollars of {DOLLAR}, at most {highest} were ever seen");
    (highest, spent)
}

#[test]
fn a_strict_dollar_is_never_overspent_and_nearly_all_of_it_is_usable() {
    let (highest, spent) = spend_a_dollar(&House::new(), "strict", &sized_call);
    assert!(highest <= DOLLAR && spent <= DOLLAR, "spent {spent}, seen {highest}");
    assert!(spent * 100 >= DOLLAR * 95, "only {spent} could be used");
}

#[test]
fn an_adaptive_dollar_is_passed_by_at_most_a_chunk_a_stream() {
    let stream = |seed| {
        let mut body = sized_call(seed);
        body["stream"] = true.into();
        body
    };
    let (highest, spent) = spend_a_dollar(&House::new(), "adaptive", &stream);
    // A chunk is what one read brings: here at most a whole answer, and only streams that were open at the end can pass.
    let chunk = 205 * 10_000;
    assert!(
        highest <= DOLLAR + 20 * chunk && spent <= DOLLAR + 20 * chunk,
        "spent {spent}, seen {highest}"
    );
    assert!(spent * 100 >= DOLLAR * 95, "only {spent} could be used");
}

#[test]
fn no_hold_is_left_behind_however_calls_end() {
    let house = House::new();
    let limit = json!({ "amount": "500.00", "cycle": "daily" });
    let keys: Vec<(String, String)> = (0..4)
        .map(|_| house.mint(json!({ "name": "torn", "spend_limit": limit })))
        .collect();
    let endings = [
        "status=500",
        "status=429",
        "cut_after=3 output_tokens=20",
        "html=1",
        "bad_json=1",
        "output_tokens=3",
    ];
    thread::scope(|scope| {
        for (place, (_, key)) in keys.iter().enumerate() {
            let (house, endings) = (&house, &endings);
            scope.spawn(move || {
                for round in 0..150 {
                    let directive = endings[(round + place) % endings.len()];
                    let call = if round % 2 == 0 {
                        chat(directive)
                    } else {
                        chat_stream(directive)
                    };
                    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", key, &call);
                    match round % 3 {
                        0 => stream.close(),
                        1 => stream.reset(),
                        _ => drop(stream.rest()),
                    }
                }
            });
        }
    });
    let mut rows = 0;
    for (id, _) in &keys {
        rows += house.settled(id)["total_requests"].as_i64().unwrap();
    }
    eventually("every call has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests") == rows
    });
    house.books_agree();
}
