//! Images and speech, whole and streamed.

use serde_json::{Value, json};

use crate::support::house::{House, nanos};
use crate::support::scripted::{Scripted, Seen, answer, json as json_answer};
use crate::support::stream::EventStream;

const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";

/// A provider of images and speech, as OpenAI answers.
fn provider(seen: &Seen) -> Vec<u8> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    match seen.path.as_str() {
        "/v1/images/generations" if body["stream"] == true => {
            let partial = json!({ "type": "image_generation.partial_image", "b64_json": PNG });
            let usage = json!({ "input_tokens": 20, "output_tokens": 372, "total_tokens": 392 });
            let whole =
                json!({ "type": "image_generation.completed", "b64_json": "A".repeat(3 << 20), "usage": usage });
            let events = [("partial_image", partial), ("completed", whole)];
            let events = events.map(|(name, data)| format!("event: image_generation.{name}\ndata: {data}\n\n"));
            answer(
                "200 OK",
                &[("content-type", "text/event-stream")],
                events.concat().as_bytes(),
            )
        }
        "/v1/images/generations" => {
            let details = json!({ "text_tokens": 20, "image_tokens": 0 });
            let usage = json!({ "input_tokens": 20, "input_tokens_details": details, "output_tokens": 272 });
            json_answer(&json!({ "created": 1, "data": [{ "b64_json": PNG }], "usage": usage }))
        }
        "/v1/audio/speech" if body["stream_format"] == "sse" => {
            let delta = json!({ "type": "speech.audio.delta", "audio": PNG });
            let usage = json!({ "input_tokens": 5, "output_tokens": 100, "total_tokens": 105 });
            let done = json!({ "type": "speech.audio.done", "usage": usage });
            let events = format!("data: {delta}\n\ndata: {done}\n\n");
            answer("200 OK", &[("content-type", "text/event-stream")], events.as_bytes())
        }
        "/v1/audio/speech" if body["input"] == "refused" => answer(
            "400 Bad Request",
            &[("content-type", "application/json")],
            br#"{"error":{"message":"no"}}"#,
        ),
        "/v1/audio/speech" => answer("200 OK", &[("content-type", "audio/pcm")], &vec![7; 480_000]),
        path if path.starts_with("/v1/text-to-speech/") => {
            let headers = [("content-type", "audio/mpeg"), ("character-cost", "9")];
            answer("200 OK", &headers, &[1; 100])
        }
        _ => answer("404 Not Found", &[], b"{}"),
    }
}

fn house() -> (House, Scripted) {
    let scripted = Scripted::start(provider);
    let url = scripted.url();
    let house = House::with(|settings| {
        let settings = settings
            .variable("OPENAI_BASE_URL", &url)
            .variable("XAI_BASE_URL", &url);
        let settings = settings
            .variable("ELEVENLABS_BASE_URL", &url)
            .variable("ELEVENLABS_API_KEY", "e");
        settings.variable("XAI_API_KEY", "x")
    });
    (house, scripted)
}

fn key(house: &House, amount: &str) -> (String, String) {
    house.mint(json!({ "name": "one", "spend_limit": { "amount": amount, "cycle": "total" }, "enforcement": "strict" }))
}

#[test]
fn images_are_held_by_the_largest_and_billed_by_the_tokens_of_the_answer() {
    let (house, scripted) = house();
    let (id, key) = key(&house, "0.02");
    let call = json!({ "model": "openai/gpt-image-1", "prompt": "a hill", "size": "1024x1024", "quality": "low" });
    let made = house
        .caller(&key)
        .post("/v1/images/generations", &call)
        .expect_status(200);
    assert_eq!(made.json()["data"][0]["b64_json"], PNG);
    assert_eq!(
        serde_json::from_slice::<Value>(&scripted.last().body).unwrap()["model"],
        "gpt-image-1"
    );
    let row = house.row(&made);
    // 5.00 in and 40.00 out, in dollars a million tokens.
    assert_eq!(nanos(&row["cost"]), 20 * 5_000 + 272 * 40_000);
    assert_eq!(row["usage_source"], "provider");
    assert_eq!(row["endpoint"], "POST https://api.openai.com/v1/images/generations");
    let dear = json!({ "model": "gpt-image-1", "prompt": "a hill", "quality": "high", "n": 2 });
    let refused = house.caller(&key).post("/v1/images/generations", &dear);
    assert_eq!(refused.error_code(), "spend_limit_reached");
    let unknown = json!({ "model": "dall-e-9", "prompt": "a hill" });
    let refused = house.caller(&key).post("/v1/images/generations", &unknown);
    assert_eq!(refused.error_code(), "price_unknown");
    assert_eq!(scripted.seen().len(), 1);
    house.settled(&id);
    house.books_agree();
}

#[test]
fn a_streamed_image_passes_as_it_comes_and_its_last_event_is_billed() {
    let (house, _scripted) = house();
    let (id, key) = key(&house, "0.50");
    let call =
        json!({ "model": "gpt-image-1", "prompt": "a hill", "quality": "low", "stream": true, "partial_images": 1 });
    let mut stream = EventStream::post(house.server.port, "/v1/images/generations", &key, &call);
    let request = stream.headers["x-lava-request-id"].clone();
    let data = stream.all_data();
    assert_eq!(data.len(), 2);
    assert!(data[1].len() > 3 << 20);
    let row = house.row_of(&request);
    assert_eq!(nanos(&row["cost"]), 20 * 5_000 + 372 * 40_000);
    assert_eq!(
        (&row["usage_source"], &row["status"]),
        (&json!("provider"), &json!("completed"))
    );
    house.settled(&id);
    house.books_agree();
}

#[test]
fn images_of_a_model_that_bills_each_are_counted_in_the_answer() {
    let (house, _scripted) = house();
    let (id, key) = key(&house, "1.00");
    let call = json!({ "model": "xai/grok-imagine-image", "prompt": "a hill" });
    let row = house.row(
        &house
            .caller(&key)
            .post("/v1/images/generations", &call)
            .expect_status(200),
    );
    assert_eq!((nanos(&row["cost"]), &row["provider"]), (20_000_000, &json!("xai")));
    let many = json!({ "model": "xai/grok-imagine-image", "prompt": "a hill", "n": 50 });
    let refused = house.caller(&key).post("/v1/images/generations", &many);
    assert_eq!(refused.error_code(), "spend_limit_reached");
    house.settled(&id);
    house.books_agree();
}

#[test]
fn speech_is_billed_by_its_characters_and_comes_back_as_bytes() {
    let (house, _scripted) = house();
    let (id, key) = key(&house, "0.0005");
    let call = json!({ "model": "tts-1", "input": "Grüße! 😀", "voice": "alloy", "speed": 1.5 });
    let spoken = house.caller(&key).post("/v1/audio/speech", &call).expect_status(200);
    assert_eq!(spoken.header("content-type"), Some("audio/pcm"));
    assert_eq!(spoken.body, vec![7; 480_000]);
    let row = house.row(&spoken);
    // 15.00 dollars a million characters.
    assert_eq!(nanos(&row["cost"]), 8 * 15_000);
    assert_eq!(
        (&row["usage_source"], &row["status"]),
        (&json!("provider"), &json!("completed"))
    );
    let long = json!({ "model": "tts-1", "input": "x".repeat(4_000), "voice": "alloy" });
    assert_eq!(
        house.caller(&key).post("/v1/audio/speech", &long).error_code(),
        "spend_limit_reached"
    );
    let refused = json!({ "model": "tts-1", "input": "refused", "voice": "alloy" });
    let refused = house.caller(&key).post("/v1/audio/speech", &refused);
    assert_eq!((refused.status, &house.row(&refused)["cost"]), (400, &json!("0.00")));
    let silent = house
        .caller(&key)
        .post("/v1/audio/speech", &json!({ "model": "tts-1" }));
    assert_eq!(
        (silent.error_code().as_str(), &silent.json()["error"]["param"]),
        ("invalid_request", &json!("input"))
    );
    house.settled(&id);
    house.books_agree();
}

#[test]
fn speech_that_is_billed_by_tokens_is_read_in_its_events_and_else_estimated_by_its_length() {
    let (house, _scripted) = house();
    let (id, key) = key(&house, "1.00");
    let mut call =
        json!({ "model": "gpt-4o-mini-tts", "input": "Hello there", "voice": "alloy", "response_format": "pcm" });
    let row = house.row(&house.caller(&key).post("/v1/audio/speech", &call).expect_status(200));
    // Ten seconds are 209 tokens; eleven bytes of text are three.
    assert_eq!(nanos(&row["cost"]), 3 * 600 + 209 * 12_000);
    assert_eq!(row["usage_source"], "estimated");
    call["stream_format"] = "sse".into();
    let mut stream = EventStream::post(house.server.port, "/v1/audio/speech", &key, &call);
    let request = stream.headers["x-lava-request-id"].clone();
    assert_eq!(stream.all_data().len(), 2);
    let row = house.row_of(&request);
    assert_eq!(nanos(&row["cost"]), 5 * 600 + 100 * 12_000);
    assert_eq!(row["usage_source"], "provider");
    house.settled(&id);
    house.books_agree();
}

#[test]
fn elevenlabs_own_endpoint_is_reached_with_the_operators_credential_and_billed_as_it_says() {
    let (house, scripted) = house();
    let url = "/v1/forward?u=https://api.elevenlabs.io/v1/text-to-speech/voice-1/stream";
    let call = json!({ "text": "Hello there", "model_id": "eleven_multilingual_v2" });
    let spoken = house.server.client().post(url, &call).expect_status(200);
    assert_eq!(spoken.body, [1; 100]);
    assert_eq!(scripted.last().header("xi-api-key"), Some("e"));
    let row = house.row(&spoken);
    // 80.00 dollars a million characters.
    assert_eq!(
        (nanos(&row["cost"]), &row["model"]),
        (9 * 80_000, &json!("eleven_multilingual_v2"))
    );
    let other = "/v1/forward?u=https://api.elevenlabs.io/v1/voices";
    assert_eq!(
        house.server.client().get(other).error_code(),
        "forward_endpoint_not_supported"
    );
    house.books_agree();
}

#[test]
fn a_media_path_takes_only_its_method_and_says_which() {
    let (house, _scripted) = house();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/v1/images/generations", "/v1/audio/speech"] {
            let refused = house.server.client().send(method, path, None);
            assert_eq!(
                (refused.status, refused.error_code().as_str()),
                (405, "method_not_allowed")
            );
            assert_eq!(refused.header("allow"), Some("POST"), "{method} {path}");
        }
    }
}
