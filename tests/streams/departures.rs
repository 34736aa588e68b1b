//! Clients that go away: by FIN, by RST, by closing one side, by not reading on; at every event of a stream, in both
//! dialects. Each call has exactly one row, and it says what the provider says.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::crowd::{Connection, Leave, crowd, request};
use crate::support::house::{House, chat};
use crate::support::http::Client;
use crate::support::server::eventually;

/// In which dialect a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    OpenAi,
    Anthropic,
}

const SHAPES: [Shape; 2] = [Shape::OpenAi, Shape::Anthropic];

/// How a client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Fin,
    Rst,
    HalfCloseReadingOn,
    HalfCloseAndSilence,
    /// The connection stays, and nothing more is read.
    Stall,
}

const WAYS: [Way; 4] = [Way::Fin, Way::Rst, Way::HalfCloseReadingOn, Way::HalfCloseAndSilence];

/// When it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// While the provider has not answered yet.
    Unanswered,
    /// With so many events read.
    Events(usize),
}

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    way: Way,
    moment: Moment,
    streaming: bool,
    directive: &'static str,
    max_tokens: u32,
}

impl Case {
    fn tag(&self) -> String {
        let streaming = if self.streaming { "stream" } else { "whole" };
        format!("{:?}-{:?}-{:?}-{streaming}", self.shape, self.way, self.moment)
    }

    fn request(&self, keys: &[String; 2]) -> Vec<u8> {
        let (path, model, key) = match self.shape {
            Shape::OpenAi => ("/v1/chat/completions", "gpt-4o-mini", &keys[0]),
            Shape::Anthropic => ("/v1/messages", "claude-haiku-4-5", &keys[1]),
        };
        let delay = if self.moment == Moment::Unanswered {
            "delay_ms=600"
        } else {
            ""
        };
        let content = format!("[[sim tag={} {} {delay}]]", self.tag(), self.directive);
        let messages = json!([{ "role": "user", "content": content }]);
        let body =
            json!({ "model": model, "max_tokens": self.max_tokens, "stream": self.streaming, "messages": messages });
        request("POST", path, key, Some(&body))
    }
}

/// One key a shape.
fn mint(house: &House, on_disconnect: &str) -> [String; 2] {
    ["openai", "anthropic"].map(|shape| {
        let limit = json!({ "amount": "100.00", "cycle": "daily" });
        let settings = json!({
            "name": "left", "request_shape": shape, "on_disconnect": on_disconnect, "spend_limit": limit,
        });
        house.mint(settings).1
    })
}

/// Makes every call and leaves each as its case says; returns when every call has its row and its end at the provider.
fn depart(house: &House, cases: &[Case], keys: &[String; 2]) {
    let rows = house.database.number("SELECT COUNT(*) FROM requests") + cases.len() as i64;
    let requests = house.simulator.ledger()["requests"].as_u64().unwrap() + cases.len() as u64;
    let all_kept = crowd(async {
        let mut connections = Vec::new();
        for case in cases {
            let opened = if case.way == Way::Stall {
                Connection::open_narrow(house.server.port).await
            } else {
                Connection::open(house.server.port).await
            };
            let mut connection = opened.expect("the server listens");
            connection.begin(&case.request(keys)).await;
            connections.push(connection);
        }
        if cases.iter().all(|case| case.moment == Moment::Unanswered) {
            eventually("the provider has every call", || {
                house.simulator.ledger()["requests"].as_u64().unwrap() >= requests
            });
        }
        let mut clients = JoinSet::new();
        for (connection, case) in connections.into_iter().zip(cases) {
            clients.spawn_local(go(connection, case.clone()));
        }
        clients.join_all().await
    });
    eventually("every call has its row", || {
        house.database.number("SELECT COUNT(*) FROM requests") >= rows
    });
    drop(all_kept);
    eventually("the provider has ended every call", || {
        house.simulator.ledger()["open"] == 0
    });
    assert_eq!(
        house.database.number("SELECT COUNT(*) FROM requests"),
        rows,
        "a call has more than one row"
    );
}

async fn go(mut connection: Connection, case: Case) -> Connection {
    if let Moment::Events(count) = case.moment {
        connection.await_events(count).await.expect("the stream runs");
    }
    match case.way {
        Way::Fin => connection.leave(Leave::Fin).await,
        Way::Rst => connection.leave(Leave::Rst).await,
        Way::HalfCloseReadingOn => {
            connection.half_close().await;
            connection.read_out().await;
        }
        Way::HalfCloseAndSilence => connection.half_close().await,
        Way::Stall => {}
    }
    connection
}

/// The provider's own routes, which are plain even where calls go over TLS.
fn control(house: &House) -> Client {
    Client::new(&format!("http://127.0.0.1:{}", house.simulator.port))
}

/// What the provider served for each case, and the rows' word for it.
struct Compared {
    tag: String,
    served: i64,
    billed: i64,
    source_is_provider: bool,
}

fn compare(house: &House, cases: &[Case]) -> Vec<Compared> {
    let list = control(house).get("/_sim/requests?limit=1000").json();
    let entries = list.as_array().unwrap();
    let compare = |case: &Case| {
        let tag = case.tag();
        let mut own = entries.iter().filter(|entry| entry["tag"] == tag.as_str());
        let entry = own.next().unwrap_or_else(|| panic!("{tag} never reached the provider"));
        assert!(own.next().is_none(), "{tag} reached the provider twice");
        let row = format!("FROM requests WHERE response_id = '{}'", entry["id"].as_str().unwrap());
        let number = |what: &str| house.database.number(&format!("SELECT {what} {row}"));
        assert_eq!(number("COUNT(*)"), 1, "{tag} has one row");
        Compared {
            served: entry["output_tokens"].as_i64().unwrap(),
            billed: number("SUM(output_tokens)::bigint"),
            source_is_provider: number("SUM((usage_source = 'provider')::int)::bigint") == 1,
            tag,
        }
    };
    cases.iter().map(compare).collect()
}

/// Every shape and way of leaving at each of these moments.
fn cases(ways: &[Way], moments: &[Moment], template: Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        for way in ways {
            for moment in moments {
                cases.push(Case {
                    shape,
                    way: *way,
                    moment: *moment,
                    ..template.clone()
                });
            }
        }
    }
    cases
}

const SHORT_STREAM: Case = Case {
    shape: Shape::OpenAi,
    way: Way::Fin,
    moment: Moment::Unanswered,
    streaming: true,
    directive: "output_tokens=6 chunk_ms=10",
    max_tokens: 64,
};

fn assert_exact(compared: &[Compared]) {
    for call in compared {
        assert_eq!(call.billed, call.served, "{}", call.tag);
        assert!(call.source_is_provider, "{} has the provider's own usage", call.tag);
    }
}

#[test]
fn a_client_that_leaves_in_any_way_at_any_event_is_billed_exactly_what_was_served() {
    let house = House::new();
    let keys = mint(&house, "drain");
    let unanswered = cases(&WAYS, &[Moment::Unanswered], SHORT_STREAM);
    depart(&house, &unanswered, &keys);
    assert_exact(&compare(&house, &unanswered));
    // A stream of six words has at most a dozen events; a client that waits for more leaves after the last.
    let moments: Vec<Moment> = (1..=12).map(Moment::Events).collect();
    let running = cases(&WAYS, &moments, SHORT_STREAM);
    depart(&house, &running, &keys);
    let compared = compare(&house, &running);
    assert_exact(&compared);
    assert!(compared.iter().all(|call| call.served == 6));
    eprintln!(
        "{} streams left and drained: billed what was served",
        unanswered.len() + running.len()
    );
    house.books_agree();
}

#[test]
fn a_client_that_leaves_before_a_whole_answer_is_billed_for_it_even_where_its_key_says_cancel() {
    let house = House::new();
    for on_disconnect in ["drain", "cancel"] {
        let keys = mint(&house, on_disconnect);
        let directive = if on_disconnect == "drain" {
            "output_tokens=9"
        } else {
            "output_tokens=11"
        };
        let template = Case {
            streaming: false,
            directive,
            ..SHORT_STREAM
        };
        let unanswered = cases(&WAYS, &[Moment::Unanswered], template);
        depart(&house, &unanswered, &keys);
        assert_exact(&compare(&house, &unanswered));
        control(&house).post("/_sim/reset", &json!({}));
    }
    house.books_agree();
}

#[test]
fn a_client_that_leaves_a_key_that_cancels_is_billed_within_a_tenth_of_what_was_served() {
    let house = House::new();
    let keys = mint(&house, "cancel");
    let template = Case {
        directive: "output_tokens=400 chunk_ms=20",
        max_tokens: 500,
        ..SHORT_STREAM
    };
    let left = cases(&WAYS, &[40, 47, 55].map(Moment::Events), template);
    depart(&house, &left, &keys);
    let mut furthest = 0;
    for call in compare(&house, &left) {
        let difference = (call.billed - call.served).abs();
        assert!(
            difference * 10 <= call.served,
            "{}: billed {}, served {}",
            call.tag,
            call.billed,
            call.served
        );
        assert!(
            !call.source_is_provider && call.served < 300,
            "{} was cancelled",
            call.tag
        );
        furthest = furthest.max(difference * 1_000 / call.served);
    }
    eprintln!(
        "{} streams left and cancelled: at most {furthest} thousandths from what was served",
        left.len()
    );
    house.books_agree();
}

/// More than the buffers of a connection hold.
const LONG_STREAM: Case = Case {
    way: Way::Stall,
    directive: "output_tokens=60000",
    max_tokens: 100_000,
    ..SHORT_STREAM
};

fn patient_house(in_flight: usize) -> House {
    House::with(|settings| {
        settings
            .variable("CALDERA__GATEWAY__SLOW_READER_TIMEOUT_MS", 200)
            .variable("CALDERA__GATEWAY__DRAIN_LIMIT_BYTES", 64 << 20)
            .variable("CALDERA__GATEWAY__IN_FLIGHT_LIMIT", in_flight)
    })
}

#[test]
fn a_client_that_stops_reading_is_given_up_and_billed_exactly_what_was_served() {
    let moments = [1, 2, 3, 5, 8].map(Moment::Events);
    let stalled = cases(&[Way::Stall], &moments, LONG_STREAM);
    let house = patient_house(100);
    depart(&house, &stalled, &mint(&house, "drain"));
    let compared = compare(&house, &stalled);
    assert_exact(&compared);
    assert!(compared.iter().all(|call| call.served == 60_000));
    house.books_agree();
}

fn stall_and_cancel() -> Vec<Compared> {
    let stalled = cases(&[Way::Stall], &[1, 4].map(Moment::Events), LONG_STREAM);
    let house = patient_house(100);
    depart(&house, &stalled, &mint(&house, "cancel"));
    house.books_agree();
    compare(&house, &stalled)
}

#[test]
fn a_client_that_stops_reading_a_key_that_cancels_costs_no_more_than_was_served() {
    for call in stall_and_cancel() {
        eprintln!("{}: billed {} of {}", call.tag, call.billed, call.served);
        assert!(call.billed > 0 && call.billed <= call.served, "{}", call.tag);
    }
}

#[test]
fn a_stream_that_nobody_reads_is_cancelled_where_the_key_says_so() {
    for call in stall_and_cancel() {
        assert!(
            !call.source_is_provider && call.billed < 60_000,
            "{} was cancelled",
            call.tag
        );
    }
}

#[test]
fn a_client_that_never_reads_on_does_not_keep_its_place_among_the_calls_in_flight() {
    let stalled = cases(&[Way::Stall], &[1].map(Moment::Events), LONG_STREAM);
    let house = patient_house(stalled.len());
    let keys = mint(&house, "drain");
    crowd(async {
        let mut kept = Vec::new();
        for case in &stalled {
            let mut connection = Connection::open_narrow(house.server.port)
                .await
                .expect("the server listens");
            connection.begin(&case.request(&keys)).await;
            connection.await_events(1).await.expect("the stream runs");
            kept.push(connection);
        }
        eventually("every call has its row", || {
            house.database.number("SELECT COUNT(*) FROM requests") == stalled.len() as i64
        });
        eventually("there is room for a call", || {
            house
                .caller(&keys[0])
                .post("/v1/chat/completions", &chat("output_tokens=1"))
                .status
                == 200
        });
        drop(kept);
    });
}
