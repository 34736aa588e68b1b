//! The live feed: what it tells, to whom, and when it ends.

use serde_json::{Value, json};

use super::{end, limited_key, long_stream};
use crate::support::house::{House, chat, nanos};
use crate::support::server::secret_key;
use crate::support::stream::EventStream;

fn listen(house: &House, query: &str) -> EventStream {
    let feed = EventStream::get(house.server.port, &format!("/v1/live{query}"), secret_key());
    assert_eq!(
        (feed.status, feed.headers["content-type"].as_str()),
        (200, "text/event-stream; charset=utf-8")
    );
    feed
}

fn figures(feed: &mut EventStream) -> Value {
    serde_json::from_str(&feed.next_data().expect("the feed goes on")).unwrap()
}

#[test]
fn the_feed_tells_what_runs_what_ends_and_how_the_asked_keys_stand() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let mut feed = listen(&house, &format!("?spend_key_ids={id}"));
    let first = figures(&mut feed);
    assert_eq!(
        (&first["calls_in_flight"], &first["requests_per_second"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(first["spend_keys"][0]["available"], "5.00");

    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &long_stream());
    stream.next_data();
    let running = std::iter::repeat_with(|| figures(&mut feed)).find(|told| told["calls_in_flight"] == 1);
    let running = running.unwrap();
    assert_eq!(running["spend_keys"][0]["reserved_spend"], running["held"]);
    assert!(nanos(&running["held"]) > 0);

    end(&house, &json!(stream.headers["x-lava-request-id"])).expect_status(200);
    house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=5"))
        .expect_status(200);
    let spent = house.settled(&id)["current_spend"].clone();
    let mut rates = Vec::new();
    loop {
        let told = figures(&mut feed);
        rates.push((told["requests_per_second"].as_u64(), nanos(&told["spend_per_second"])));
        let own = &told["spend_keys"][0];
        if own["current_spend"] == spent && told["calls_in_flight"] == 0 {
            assert_eq!(
                (&told["held"], &own["reserved_spend"]),
                (&json!("0.00"), &json!("0.00"))
            );
            break;
        }
    }
    let is_told = |(requests, spend): &(Option<u64>, i64)| *requests > Some(0) && *spend > 0;
    assert!(rates.iter().any(is_told), "{rates:?}");
}

#[test]
fn another_merchants_feed_and_keys_are_his() {
    let house = House::new();
    let (id, key) = limited_key(&house);
    let mut stream = EventStream::post(house.server.port, "/v1/chat/completions", &key, &long_stream());
    stream.next_data();
    let stranger = house.stranger();
    let refused = stranger.get(&format!("/v1/live?spend_key_ids={id}")).expect_status(404);
    assert_eq!(refused.json()["error"]["param"], "spend_key_ids");
    let his_key = stranger
        .post("/v1/secret_keys", &json!({ "name": "feed" }))
        .expect_status(201)
        .json();
    let his_key = his_key["secret_key"]
        .as_str()
        .or(his_key["key"].as_str())
        .unwrap()
        .to_owned();
    let mut feed = EventStream::get(house.server.port, "/v1/live", &his_key);
    let told = figures(&mut feed);
    assert_eq!((&told["calls_in_flight"], &told["held"]), (&json!(0), &json!("0.00")));
    for wrong in [
        "?spend_key_ids=x",
        &*format!("?spend_key_ids={}", vec![id; 101].join(",")),
    ] {
        let refused = house
            .server
            .client()
            .get(&format!("/v1/live{wrong}"))
            .expect_status(400);
        assert_eq!(refused.json()["error"]["param"], "spend_key_ids");
    }
}

#[test]
fn listeners_are_bounded_and_a_stop_does_not_wait_for_them() {
    let mut house = House::new();
    let mut feeds: Vec<EventStream> = (0..64).map(|_| listen(&house, "")).collect();
    let refused = house.server.client().get("/v1/live").expect_status(503);
    assert_eq!(refused.error_code(), "overloaded");
    let other = house.test_merchant();
    let others = EventStream::get(house.server.port, "/v1/live", &other);
    assert_eq!(
        others.status, 200,
        "one merchant's listeners take nothing from another's"
    );
    others.close();
    for feed in &mut feeds {
        figures(feed);
    }
    feeds.pop().unwrap().close();
    crate::support::server::eventually("a place is free again", || {
        EventStream::get(house.server.port, "/v1/live", secret_key()).status == 200
    });
    house.server.begin_stop();
    for mut feed in feeds {
        feed.all_data();
    }
    assert!(house.server.wait_for_exit().success());
}
