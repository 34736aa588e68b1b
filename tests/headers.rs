//! Which headers cross, in both directions, and that two requests on one connection stay two.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::house::House;
use crate::support::scripted::{Scripted, Seen};
use crate::support::server::secret_key;

/// Names that must not cross in either direction, besides those that are made up.
const PRIVATE: [&str; 36] = [
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "x-goog-api-key",
    "xi-api-key",
    "api-key",
    "x-lava-metadata-user",
    "x-lava-include-cost",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "x-ratelimit-limit-requests",
    "x-amzn-trace-id",
    "server",
    "alt-svc",
    "strict-transport-security",
    "access-control-allow-origin",
    "origin",
    "referer",
    "location",
    "link",
    "x-http-method-override",
    "x-original-url",
    "content-md5",
];
/// What a provider may see.
const SENT: [&str; 10] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "date",
    "host",
    "idempotency-key",
    "openai-beta",
    "user-agent",
];
/// What a client may see besides our own and the key's rate limit.
const SHOWN: [&str; 7] = [
    "content-length",
    "content-type",
    "date",
    "openai-processing-ms",
    "retry-after",
    "x-request-id",
    "transfer-encoding",
];

/// Three hundred in all; a server and a client take so many at a time only.
const COUNT: usize = 300;
const AT_ONCE: usize = 60;

/// Private headers, some at a time: those above, and as many that nobody knows.
fn canaries(side: &str) -> Vec<String> {
    let known = PRIVATE.iter().map(|name| format!("{name}: canary-{side}\r\n"));
    let unknown = (0..COUNT - PRIVATE.len()).map(|number| format!("x-unknown-{number}: canary-{side}\r\n"));
    let all: Vec<String> = known.chain(unknown).collect();
    all.chunks(AT_ONCE).map(|some| some.concat()).collect()
}

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// The call says which of them it wants.
fn with_canaries(seen: &Seen) -> Vec<u8> {
    let round: usize = seen
        .header("idempotency-key")
        .and_then(|key| key.parse().ok())
        .unwrap_or(0);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r1\r\nopenai-processing-ms: 5\r\nretry-after: 1\r\n{}",
        canaries("provider")[round]
    );
    format!("{head}content-length: {}\r\n\r\n{ANSWER}", ANSWER.len()).into_bytes()
}

fn house(script: fn(&Seen) -> Vec<u8>) -> (House, Scripted) {
    let scripted = Scripted::start(script);
    let url = scripted.url();
    let house = House::with(|settings| settings.variable("OPENAI_BASE_URL", &url));
    (house, scripted)
}

/// One answer's head in lower case, and its body of a told length.
fn read_answer(socket: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).expect("an answer has a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    socket.read_exact(&mut body).unwrap();
    (head, body)
}

fn call(port: u16) -> (TcpStream, String) {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let timeout = Some(std::time::Duration::from_secs(20));
    socket.set_read_timeout(timeout).unwrap();
    let key = secret_key();
    (
        socket,
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\n"),
    )
}

fn chat() -> String {
    json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hi" }] }).to_string()
}

#[test]
fn of_three_hundred_headers_only_the_listed_ones_cross() {
    let (house, scripted) = house(with_canaries);
    for (round, lines) in canaries("client").iter().enumerate() {
        let (mut socket, head) = call(house.server.port);
        let body = chat();
        let known = format!(
            "accept: application/json\r\nopenai-beta: b\r\nidempotency-key: {round}\r\ncontent-type: application/json\r\n"
        );
        let request = format!("{head}{known}{lines}content-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).unwrap();
        let (head, answer) = read_answer(&mut socket);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(answer, ANSWER.as_bytes());
        assert!(!head.contains("canary"), "{head}");
        for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, _) = line.split_once(':').unwrap();
            assert!(name.starts_with("x-lava-") || SHOWN.contains(&name), "{name}");
        }
        let seen = scripted.last();
        assert!(!format!("{:?}", seen.headers).contains("canary"), "{:?}", seen.headers);
        for (name, _) in &seen.headers {
            assert!(SENT.contains(&name.as_str()), "{name}");
            assert_eq!(
                seen.headers.iter().filter(|(other, _)| other == name).count(),
                1,
                "{name}"
            );
        }
        for (name, value) in [
            ("openai-beta", "b"),
            ("idempotency-key", round.to_string().as_str()),
            ("authorization", "Bearer sim"),
        ] {
            assert_eq!(seen.header(name), Some(value));
        }
    }
}

#[test]
fn a_body_that_looks_like_a_request_is_none_on_either_connection() {
    let (house, scripted) = house(with_canaries);
    let inner = "GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer stolen\r\n\r\n";
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": inner }] }).to_string();
    let (mut socket, head) = call(house.server.port);
    for _ in 0..3 {
        let request = format!(
            "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        assert!(read_answer(&mut socket).0.starts_with("http/1.1 200"));
    }
    let seen = scripted.seen();
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter()
            .all(|seen| seen.path == "/v1/chat/completions" && seen.text() == body)
    );
}

#[test]
fn a_request_with_two_lengths_or_a_length_and_chunks_never_becomes_two() {
    let (house, scripted) = house(with_canaries);
    let body = chat();
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n";
    let length = body.len();
    let odd = [
        format!(
            "content-length: {length}\r\ncontent-length: {}\r\n\r\n{body}{smuggled}",
            length + 5
        ),
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("content-length: +{length}\r\n\r\n{body}{smuggled}"),
        format!("content-length: -1\r\n\r\n{body}{smuggled}"),
        format!("content-length : {length}\r\n\r\n{body}{smuggled}"),
        format!("content-length: {length}\r\n transfer-encoding: chunked\r\n\r\n{body}{smuggled}"),
    ];
    for (number, rest) in odd.iter().enumerate() {
        let (mut socket, head) = call(house.server.port);
        socket
            .write_all(format!("{head}content-type: application/json\r\n{rest}").as_bytes())
            .unwrap();
        let mut answered = Vec::new();
        // It may close, or wait for more of what it takes for a body.
        socket
            .set_read_timeout(Some(std::time::Duration::from_millis(700)))
            .unwrap();
        let _ = socket.read_to_end(&mut answered);
        let text = String::from_utf8_lossy(&answered);
        // What is behind the first has no credential, so it is never served.
        assert!(text.matches("HTTP/1.1 200").count() <= 1, "{number}: {text}");
    }
    assert!(scripted.seen().iter().all(|seen| seen.text() == body && seen.is_whole));
}

/// An answer with bytes behind its end, as if they were the answer to the next request.
fn overlong(_: &Seen) -> Vec<u8> {
    let mut bytes = with_canaries(&Seen::default());
    bytes.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"planted\":\"yes\"}",
    );
    bytes
}

#[test]
fn bytes_behind_an_answer_are_never_taken_for_the_next_one() {
    let (house, scripted) = house(overlong);
    for _ in 0..20 {
        let answer = house
            .server
            .client()
            .post("/v1/chat/completions", &serde_json::from_str(&chat()).unwrap());
        assert!(!answer.text().contains("planted"), "{}", answer.text());
    }
    assert!(!scripted.seen().is_empty());
}
