//! Secrets under load: from the moment a rotation is answered, nothing sent with the old secret is accepted, and a
//! revocation cuts what runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::crowd::{Connection, Seeded, crowd, request};
use crate::support::house::{House, chat, chat_stream};
use crate::support::server::{eventually, secret_key};
use crate::support::stream::EventStream;

const ROTATIONS: usize = 100;
const CALLERS: usize = 48;
/// Calls answered between two rotations.
const CALLS_BETWEEN: u64 = 150;

/// The secrets so far, and how far the rotations are.
#[derive(Default)]
struct Turning {
    /// The request of each secret, oldest first.
    requests: RefCell<Vec<Vec<u8>>>,
    /// Rotations that were sent, and those whose answer has been read.
    begun: Cell<usize>,
    answered: Cell<usize>,
    done: Cell<bool>,
    calls: Cell<u64>,
    called: Notify,
    accepted_late: Cell<u64>,
    refused_dead: Cell<u64>,
    served: Cell<u64>,
}

impl Turning {
    /// Calls with the newest secret or the one before it, and judges the answer by what was known when it was sent.
    async fn call(&self, connection: &mut Connection, random: &mut Seeded) {
        let answered = self.answered.get();
        let newest = self.requests.borrow().len() - 1;
        let version = newest.saturating_sub(random.below(2) as usize);
        let bytes = self.requests.borrow()[version].clone();
        let status = connection.call(&bytes).await.expect("the server answers").status;
        assert!(status == 200 || status == 401, "{status}");
        self.calls.set(self.calls.get() + 1);
        self.called.notify_one();
        if version < answered {
            // The rotation that killed it was answered before this call was sent.
            let count = if status == 200 {
                &self.accepted_late
            } else {
                &self.refused_dead
            };
            count.set(count.get() + 1);
        } else if self.begun.get() == version {
            // No rotation had even begun when the answer came.
            assert_eq!(status, 200, "secret {version} is alive");
            self.served.set(self.served.get() + 1);
        }
    }

    /// Waits for more calls.
    async fn wait(&self) {
        let until = self.calls.get() + CALLS_BETWEEN;
        while self.calls.get() < until {
            self.called.notified().await;
        }
    }

    fn add(&self, key: &str) {
        let call = request("POST", "/v1/chat/completions", key, Some(&chat("output_tokens=1")));
        self.requests.borrow_mut().push(call);
    }
}

async fn rotate(turning: &Turning, port: u16, id: &str) {
    let mut connection = Connection::open(port).await.expect("the server listens");
    let rotate = request(
        "POST",
        &format!("/v1/spend_keys/{id}/rotate"),
        secret_key(),
        Some(&json!({})),
    );
    for round in 1..=ROTATIONS {
        turning.wait().await;
        turning.begun.set(round);
        let reply = connection.call(&rotate).await.expect("the server answers");
        assert_eq!(reply.status, 200, "{}", reply.text());
        turning.add(reply.json()["key"].as_str().unwrap());
        turning.answered.set(round);
    }
    turning.wait().await;
    turning.done.set(true);
}

#[test]
fn of_a_hundred_rotations_under_load_none_leaves_the_old_secret_alive() {
    let house =
        House::with(|settings| settings.variable("CALDERA__MANAGEMENT__FAILED_CREDENTIALS_PER_MINUTE", 10_000_000));
    let (id, key) = house.mint(json!({ "name": "turning" }));
    let turning = Rc::new(Turning::default());
    turning.add(&key);
    let call = chat_stream("output_tokens=40 chunk_ms=5");
    let mut running = EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
    let began = Instant::now();
    crowd(async {
        let mut callers = JoinSet::new();
        for (place, mut connection) in Connection::open_many(house.server.port, CALLERS)
            .await
            .into_iter()
            .enumerate()
        {
            let (turning, mut random) = (turning.clone(), Seeded(place as u64));
            callers.spawn_local(async move {
                while !turning.done.get() {
                    turning.call(&mut connection, &mut random).await;
                }
            });
        }
        rotate(&turning, house.server.port, &id).await;
        callers.join_all().await;
    });
    let seconds = began.elapsed().as_millis().max(1);
    eprintln!(
        "{ROTATIONS} rotations among {} calls, {} a second: {} sent with a dead secret, {} of them accepted; {} served",
        turning.calls.get(),
        u128::from(turning.calls.get()) * 1_000 / seconds,
        turning.refused_dead.get() + turning.accepted_late.get(),
        turning.accepted_late.get(),
        turning.served.get()
    );
    assert_eq!(turning.accepted_late.get(), 0);
    assert!(turning.refused_dead.get() > 1_000 && turning.served.get() > 1_000);
    assert_eq!(
        running.all_data().last().map(String::as_str),
        Some("[DONE]"),
        "a running stream finishes"
    );
    house.settled(&id);
    let counted = house.key(&id)["total_requests"].as_i64().unwrap();
    eventually("the rows are written", || {
        house.database.number("SELECT COUNT(*) FROM requests") == counted
    });
    house.books_agree();
}

#[test]
fn a_revocation_cuts_every_running_stream_within_a_second_and_each_is_billed() {
    const STREAMS: i64 = 40;
    let house = House::new();
    // The last ones come as fast as the provider can write.
    for pace in ["chunk_ms=10", "chunk_ms=300", "chunk_ms=0 output_tokens=1000000"] {
        let (id, key) = house.mint(json!({ "name": "doomed" }));
        let mut call = chat_stream(&format!("output_tokens=5000 {pace}"));
        call["max_tokens"] = 1_000_000.into();
        let count = if pace.starts_with("chunk_ms=0") { 1 } else { STREAMS };
        let open = |_| EventStream::post(house.server.port, "/v1/chat/completions", &key, &call);
        let mut streams: Vec<EventStream> = (0..count).map(open).collect();
        for stream in &mut streams {
            stream.next_data().expect("it runs");
        }
        let revoked = house.server.client().delete(&format!("/v1/spend_keys/{id}"));
        let revoked_at = Instant::now();
        revoked.expect_status(200);
        for stream in &mut streams {
            assert_eq!(stream.all_data().last().map(String::as_str), Some("[DONE]"));
        }
        let took = revoked_at.elapsed();
        eprintln!(
            "{count} streams of {pace} were cut {} ms after the revocation",
            took.as_millis()
        );
        assert!(took < Duration::from_secs(1), "{pace}: {took:?}");
    }
    eventually("every stream has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests WHERE cost > 0") == 2 * STREAMS + 1
    });
    house.books_agree();
}
