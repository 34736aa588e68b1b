//! Transcriptions: forms spooled until their model is known, held by the file's length, and sent on byte for byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use serde_json::json;

use crate::support::form::{FORM_TYPE, form, wav};
use crate::support::house::{House, nanos};
use crate::support::http::{Answer, Client};
use crate::support::scripted::{Scripted, Seen, answer, json as json_answer};
use crate::support::server::{Server, eventually};

/// A provider of transcriptions, as OpenAI answers.
fn provider(seen: &Seen) -> Vec<u8> {
    let text = seen.text();
    if text.contains("\"response_format\"\r\n\r\ntext") {
        return answer("200 OK", &[("content-type", "text/plain")], b"so it is\n");
    }
    let usage = if text.contains("gpt-4o-transcribe") {
        json!({ "type": "tokens", "input_tokens": 110, "output_tokens": 20, "total_tokens": 130,
            "input_token_details": { "text_tokens": 10, "audio_tokens": 100 } })
    } else {
        json!({ "type": "duration", "seconds": 10 })
    };
    json_answer(&json!({ "text": "so it is", "usage": usage }))
}

fn house() -> (House, Scripted) {
    let scripted = Scripted::start(provider);
    let url = scripted.url();
    let house = House::with(|settings| settings.variable("OPENAI_BASE_URL", &url));
    (house, scripted)
}

fn post(client: &Client, path: &str, body: Vec<u8>) -> Answer {
    client
        .clone()
        .with_header("content-type", FORM_TYPE)
        .send("POST", path, Some(body))
}

fn transcribe(client: &Client, body: Vec<u8>) -> Answer {
    post(client, "/v1/audio/transcriptions", body)
}

fn limited(house: &House, amount: &str) -> (String, String) {
    house.mint(json!({ "name": "one", "spend_limit": { "amount": amount, "cycle": "total" }, "enforcement": "strict" }))
}

#[test]
fn a_form_reaches_its_provider_byte_for_byte_but_for_the_model_that_is_named_otherwise() {
    let (house, scripted) = house();
    let secret = house.server.client();
    for seconds in [1, 20] {
        let plain = form(&[("language", "en")], &wav(seconds), &[("model", "whisper-1")]);
        let heard = transcribe(&secret, plain.clone()).expect_status(200);
        assert_eq!(heard.json()["text"], "so it is");
        let seen = scripted.last();
        assert_eq!(
            (seen.path.as_str(), seen.header("content-type")),
            ("/v1/audio/transcriptions", Some(FORM_TYPE))
        );
        assert_eq!(seen.header("content-length"), Some(plain.len().to_string().as_str()));
        assert!(seen.body == plain, "{seconds}");
        let named = form(
            &[("language", "en")],
            &wav(seconds),
            &[("model", "openai/whisper-1"), ("x", "y")],
        );
        transcribe(&secret, named).expect_status(200);
        let renamed = form(
            &[("language", "en")],
            &wav(seconds),
            &[("model", "whisper-1"), ("x", "y")],
        );
        assert!(scripted.last().body == renamed, "{seconds}");
    }
    let url = "/v1/forward?u=https://api.openai.com/v1/audio/translations";
    let row = house.row(&post(&secret, url, form(&[("model", "whisper-1")], &wav(1), &[])).expect_status(200));
    assert_eq!(row["endpoint"], "POST https://api.openai.com/v1/audio/translations");
    assert_eq!(nanos(&row["cost"]), 10 * 100_000);
    house.books_agree();
}

#[test]
fn a_transcription_is_billed_by_what_is_told_and_else_by_the_length_of_its_file() {
    let (house, _scripted) = house();
    let (id, key) = limited(&house, "1.00");
    let caller = house.caller(&key);
    let call = |model: &str, format: &str| form(&[("model", model), ("response_format", format)], &wav(7), &[]);
    // 0.0001 dollars a second; 2.50 in and 10.00 out, in dollars a million tokens.
    let table = [
        ("whisper-1", "json", 10 * 100_000, "provider"),
        ("whisper-1", "text", 7 * 100_000, "estimated"),
        ("gpt-4o-transcribe", "json", 110 * 2_500 + 20 * 10_000, "provider"),
        ("gpt-4o-transcribe", "text", 7 * 100_000, "estimated"),
    ];
    for (model, format, cost, source) in table {
        let row = house.row(&transcribe(&caller, call(model, format)).expect_status(200));
        assert_eq!(
            (nanos(&row["cost"]), &row["usage_source"]),
            (cost, &json!(source)),
            "{model} {format}"
        );
    }
    house.settled(&id);
    house.books_agree();
}

#[test]
fn a_limit_holds_for_files_by_the_longest_that_they_can_last() {
    let (house, scripted) = house();
    let (id, key) = limited(&house, "0.001");
    let caller = house.caller(&key);
    let long = transcribe(&caller, form(&[("model", "whisper-1")], &wav(11), &[]));
    assert_eq!(long.error_code(), "spend_limit_reached");
    // Of an unknown kind: a second for each thousand bytes.
    let unknown = transcribe(&caller, form(&[("model", "whisper-1")], &[9; 11_000], &[]));
    assert_eq!(unknown.error_code(), "spend_limit_reached");
    let fetched = form(
        &[("model", "whisper-1"), ("url", "https://example.com/a.mp3")],
        b"",
        &[],
    );
    let fetched = transcribe(&caller, fetched);
    assert_eq!(
        (fetched.error_code().as_str(), &fetched.json()["error"]["param"]),
        ("cost_unbounded", &json!("url"))
    );
    assert!(scripted.seen().is_empty());
    let served = transcribe(&caller, form(&[("model", "whisper-1")], &wav(10), &[]));
    assert_eq!(house.row(&served.expect_status(200))["cost"], "0.001");
    assert_eq!(house.settled(&id)["current_spend"], "0.001");
    house.books_agree();
}

#[test]
fn fifty_at_once_do_not_pass_a_limit() {
    let (house, scripted) = house();
    // A cent is a hundred seconds, of which each call takes ten.
    let (id, key) = limited(&house, "0.01");
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let answer = transcribe(&house.caller(&key), form(&[("model", "whisper-1")], &wav(10), &[]));
                answers.lock().unwrap().push(answer.status);
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    let served = answers.iter().filter(|status| **status == 200).count();
    assert_eq!((answers.len(), served, scripted.seen().len()), (50, 10, 10));
    assert_eq!(house.settled(&id)["current_spend"], "0.01");
    let rows = || house.database.number("SELECT COUNT(*) FROM requests");
    eventually("all ten are written", || rows() == 10);
    house.books_agree();
}

#[test]
fn what_is_no_plain_form_is_refused_by_name_and_nothing_is_sent() {
    let scripted = Scripted::start(provider);
    let url = scripted.url();
    let house = House::with(|settings| {
        let settings = settings.variable("OPENAI_BASE_URL", &url);
        settings.variable("CALDERA__GATEWAY__SPOOL_LIMIT_BYTES", 1_000_000)
    });
    let secret = house.server.client();
    let sound = wav(1);
    let whole = form(&[("model", "whisper-1")], &sound, &[]);
    let table = [
        (whole[..whole.len() - 5].to_vec(), 400, None),
        (whole[7..].to_vec(), 400, None),
        (form(&[("language", "en")], &sound, &[]), 400, Some("model")),
        (form(&[("model", "a")], &sound, &[("model", "b")]), 400, Some("model")),
        (form(&[("model", "a"), ("Model", "b")], &sound, &[]), 400, Some("model")),
        (form(&[("model", "whisper-1")], &wav(40), &[]), 413, None),
        (b"--XyZ--\r\n".to_vec(), 400, Some("model")),
        (Vec::new(), 400, None),
    ];
    for (body, status, param) in table {
        let refused = transcribe(&secret, body);
        assert_eq!(refused.status, status, "{}", refused.text());
        assert_eq!(refused.json()["error"]["param"].as_str(), param, "{}", refused.text());
    }
    let json = secret.post("/v1/audio/transcriptions", &json!({ "model": "whisper-1" }));
    assert_eq!(
        (json.status, json.error_code().as_str()),
        (415, "unsupported_media_type")
    );
    for path in ["/v1/chat/completions", "/v1/images/generations", "/v1/audio/speech"] {
        assert_eq!(
            post(&secret, path, whole.clone()).error_code(),
            "unsupported_media_type",
            "{path}"
        );
    }
    let nameless = secret.clone().with_header("content-type", "multipart/form-data");
    assert_eq!(
        nameless.send("POST", "/v1/audio/transcriptions", Some(whole)).status,
        400
    );
    assert!(scripted.seen().is_empty());
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 0);
}

fn resident_kilobytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn twenty_uploads_of_twenty_megabytes_are_not_held_in_memory_and_leave_no_file() {
    let (house, scripted) = house();
    let key = crate::support::server::secret_key();
    let call = form(&[], &wav(655), &[("model", "whisper-1")]);
    let before = resident_kilobytes(&house.server);
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-type: {FORM_TYPE}\r\ncontent-length: {}\r\n\r\n",
        call.len()
    );
    let mut sockets: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(("127.0.0.1", house.server.port)).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&call[..call.len() - 1]).unwrap();
        sockets.push(socket);
    }
    // All are in but for their last byte.
    let grown = resident_kilobytes(&house.server).saturating_sub(before);
    assert!(grown < 100 << 10, "it grew by {grown} kB");
    for mut socket in sockets {
        socket.write_all(&call[call.len() - 1..]).unwrap();
        let mut first = [0; 15];
        socket.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
    }
    let expected = crc32fast::hash(&call);
    assert!(scripted.seen().iter().all(|seen| seen.checksum == expected));
    assert_eq!(scripted.seen().len(), 20);
    let grown = resident_kilobytes(&house.server).saturating_sub(before);
    assert!(grown < 100 << 10, "it grew by {grown} kB");
    let names = std::fs::read_dir(house.server.data_dir()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")),
        "{names:?}"
    );
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing_open_and_nothing_held() {
    let (house, scripted) = house();
    let (id, key) = limited(&house, "1.00");
    let call = form(&[("model", "whisper-1")], &wav(60), &[]);
    let mut socket = TcpStream::connect(("127.0.0.1", house.server.port)).unwrap();
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\ncontent-type: {FORM_TYPE}\r\ncontent-length: {}\r\n\r\n",
        call.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&call[..1_000_000]).unwrap();
    drop(socket);
    let files = || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", house.server.process_id())).unwrap();
        let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links
            .filter(|link| link.to_string_lossy().contains("(deleted)"))
            .count()
    };
    eventually("the spool is gone", || files() == 0);
    assert_eq!(house.key(&id)["reserved_spend"], "0.00");
    assert!(scripted.seen().is_empty());
    assert_eq!(house.database.number("SELECT COUNT(*) FROM requests"), 0);
}
