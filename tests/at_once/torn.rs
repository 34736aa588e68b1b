//! Calls that end in every way there is, at random points: cancelled, timed out, refused, cut. Nothing stays held,
//! and the books say what happened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::crowd::{Connection, Leave, Seeded, crowd, request};
use crate::support::house::House;
use crate::support::server::eventually;

const CALLS: u64 = 20_000;
const CALLERS: usize = 192;
const KEYS: usize = 16;
const SEED: u64 = 42;

/// What the provider is told to do.
const FATES: [&str; 16] = [
    "output_tokens=5",
    "output_tokens=40",
    "output_tokens=12 chunk_ms=2",
    "output_tokens=12 delay_ms=15",
    "status=500",
    "status=503",
    "status=529",
    "status=429",
    "cut_after=0",
    "cut_after=3 output_tokens=20",
    "cut_after=9 output_tokens=20 split=7",
    "html=1",
    "bad_json=1",
    "usage=missing output_tokens=6",
    "hang_after=2 output_tokens=20",
    "delay_ms=3000",
];

/// Where the client leaves.
#[derive(Clone, Copy, Debug)]
enum Cancel {
    Never,
    /// With so much of the request sent, in thousandths.
    Sending(u64),
    /// So long after the request, in microseconds.
    Waiting(u64),
    /// With so many bytes of the answer read.
    Reading(u64),
}

impl Cancel {
    fn draw(random: &mut Seeded) -> Self {
        match random.below(8) {
            0..4 => Self::Never,
            4 => Self::Sending(random.below(1_000)),
            5 => Self::Waiting(random.below(5_000)),
            _ => Self::Reading(random.below(3_000)),
        }
    }
}

struct Torn {
    request: Vec<u8>,
    cancel: Cancel,
    leave: Leave,
}

/// The next call: its key, its fate and its end are all drawn.
fn draw(random: &mut Seeded, keys: &[(String, String)]) -> Torn {
    // The slow fates are drawn less often, or the test would wait for nothing else.
    let mut fate = random.one_of(&FATES);
    if (fate.starts_with("hang") || fate.starts_with("delay_ms=3")) && random.below(4) > 0 {
        fate = FATES[0];
    }
    let place = random.below(keys.len() as u64) as usize;
    let content = format!("[[sim {fate}]]");
    let messages = json!([{ "role": "user", "content": content }]);
    let (path, model) = if place.is_multiple_of(2) {
        ("/v1/chat/completions", "gpt-4o-mini")
    } else {
        ("/v1/messages", "claude-haiku-4-5")
    };
    let body = json!({ "model": model, "max_tokens": 64, "messages": messages, "stream": random.below(2) == 0 });
    Torn {
        request: request("POST", path, &keys[place].1, Some(&body)),
        cancel: Cancel::draw(random),
        leave: random.one_of(&[Leave::Fin, Leave::Rst]),
    }
}

/// Every second key speaks Anthropic's dialect; modes and ways to take a disconnect alternate too.
fn settings(place: usize) -> Value {
    let shape = ["openai", "anthropic"][place % 2];
    let enforcement = ["strict", "adaptive", "soft", "observe"][place / 2 % 4];
    let on_disconnect = ["drain", "cancel"][place / 8 % 2];
    let cycle = ["daily", "weekly", "monthly", "total"][place % 4];
    json!({
        "name": "torn", "request_shape": shape, "enforcement": enforcement, "on_disconnect": on_disconnect,
        "spend_limit": { "amount": "50.00", "cycle": cycle },
    })
}

/// Makes the call and ends it as drawn; the word for what became of it.
async fn run(connection: &mut Connection, torn: &Torn) -> String {
    let words = match torn.cancel {
        Cancel::Never => match connection.call(&torn.request).await {
            Ok(reply) => return reply.status.to_string(),
            Err(_) => "broken off",
        },
        Cancel::Sending(share) => {
            let bytes = torn.request.len() * share as usize / 1_000;
            connection.begin(&torn.request[..bytes]).await;
            "left while sending"
        }
        Cancel::Waiting(microseconds) => {
            connection.begin(&torn.request).await;
            sleep(Duration::from_micros(microseconds)).await;
            "left while waiting"
        }
        Cancel::Reading(count) => {
            connection.begin(&torn.request).await;
            // A provider that breaks off first is as good.
            drop(connection.await_bytes(count as usize).await);
            "left while reading"
        }
    };
    connection.leave(torn.leave).await;
    words.to_owned()
}

async fn tear(house: &House, keys: &Rc<Vec<(String, String)>>) -> BTreeMap<String, u32> {
    let left = Rc::new(Cell::new(CALLS));
    let random = Rc::new(RefCell::new(Seeded(SEED)));
    let mut callers = JoinSet::new();
    for mut connection in Connection::open_many(house.server.port, CALLERS).await {
        let (left, random, keys) = (left.clone(), random.clone(), keys.clone());
        callers.spawn_local(async move {
            let mut outcomes = BTreeMap::<String, u32>::new();
            while left.get() > 0 {
                left.set(left.get() - 1);
                let torn = draw(&mut random.borrow_mut(), &keys);
                *outcomes.entry(run(&mut connection, &torn).await).or_default() += 1;
            }
            outcomes
        });
    }
    let mut all = BTreeMap::new();
    for (outcome, count) in callers.join_all().await.into_iter().flatten() {
        *all.entry(outcome).or_default() += count;
    }
    all
}

#[test]
fn nothing_stays_held_however_twenty_thousand_calls_end() {
    let house = House::with(|settings| {
        settings
            .variable("CALDERA__GATEWAY__FIRST_BYTE_TIMEOUT_MS", 250)
            .variable("CALDERA__GATEWAY__ANSWER_TIMEOUT_MS", 300)
            .variable("CALDERA__GATEWAY__IDLE_TIMEOUT_MS", 200)
            .variable("CALDERA__GATEWAY__DRAIN_TIMEOUT_MS", 500)
            .variable("CALDERA__GATEWAY__DRAIN_SLOTS", 16)
    });
    let keys: Rc<Vec<_>> = Rc::new((0..KEYS).map(|place| house.mint(settings(place))).collect());
    let began = Instant::now();
    let outcomes = crowd(tear(&house, &keys));
    eprintln!("{CALLS} torn calls in {} ms: {outcomes:?}", began.elapsed().as_millis());
    assert_eq!(outcomes.values().sum::<u32>(), CALLS as u32);
    const STATUSES: [&str; 7] = ["200", "429", "500", "502", "503", "504", "529"];
    let known = |word: &String| word.contains(' ') || STATUSES.contains(&word.as_str());
    assert!(outcomes.keys().all(known), "{outcomes:?}");
    for expected in ["200", "500", "504", "broken off", "left while reading"] {
        assert!(outcomes.contains_key(expected), "no call ended as {expected}");
    }
    eventually("the provider has ended every call", || {
        house.simulator.ledger()["open"] == 0
    });
    let ended = Instant::now();
    let held = || {
        keys.iter()
            .filter(|(id, _)| house.key(id)["reserved_spend"] != "0.00")
            .count()
    };
    while held() > 0 && ended.elapsed() < Duration::from_secs(1) {}
    assert_eq!(held(), 0, "keys with something held a second after the last call");
    eprintln!("nothing held {} ms after the last call", ended.elapsed().as_millis());
    let requests = |(id, _): &(String, String)| house.key(id)["total_requests"].as_i64().unwrap();
    let admitted: i64 = keys.iter().map(requests).sum();
    eventually("every admitted call has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests") == admitted
    });
    house.books_agree();
}
