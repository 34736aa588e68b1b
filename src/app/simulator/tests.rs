//! The simulator over real sockets: every directive, both dialects, and the books after each.

use std::rc::Rc;
use std::time::{Duration, Instant};

use awc::Client;
use awc::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Simulator, SimulatorOptions, bind, start};

mod audio;
mod bedrock;
mod faults;
mod flavours;
mod google;
mod images;
mod responses;
mod streams;
mod whole;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// A running simulator of one worker and a client that keeps no connection past an answer that broke.
#[derive(Clone)]
struct Fixture {
    base: Rc<str>,
    client: Client,
}

type Answer = awc::ClientResponse;

impl Fixture {
    fn start() -> Self {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let options = SimulatorOptions {
            listener,
            workers: 1,
            tls: None,
        };
        let Simulator { server, address, .. } = start(options).unwrap();
        actix_rt::spawn(server);
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .disable_redirects()
            .finish();
        Self {
            base: format!("http://{address}").into(),
            client,
        }
    }

    /// Sends a body to a path with a credential that is taken.
    async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth("sim")
            .no_decompress();
        request.send_json(body).await.unwrap()
    }

    async fn post_json(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let mut answer = self.post(path, body).await;
        (
            answer.status(),
            serde_json::from_slice(&answer.body().await.unwrap()).unwrap(),
        )
    }

    /// Whether the connection of a call closes before its answer has all that its head promises.
    async fn breaks_off(&self, path: &str, body: &Value) -> bool {
        let (address, body) = (self.base.trim_start_matches("http://"), body.to_string());
        let mut connection = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        let blank = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let (head, body) = (std::str::from_utf8(&answer[..blank]).unwrap(), &answer[blank + 4..]);
        match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            Some(length) => body.len() < length.parse::<usize>().unwrap(),
            None => !body.ends_with(b"\r\n0\r\n\r\n"),
        }
    }

    /// Sends a form with one file, under the given name of its field.
    async fn post_form(&self, path: &str, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Answer {
        let mut body = Vec::new();
        for (name, text) in fields {
            let part = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        if let Some((name, bytes)) = file {
            let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--\r\n");
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth("sim");
        let request = request.content_type("multipart/form-data; boundary=b");
        request.send_body(body).await.unwrap()
    }

    async fn get_json(&self, path: &str) -> Value {
        let mut answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        serde_json::from_slice(&answer.body().await.unwrap()).unwrap()
    }

    async fn ledger(&self) -> Value {
        self.get_json("/_sim/ledger").await
    }

    /// The ledger once no call is open any more; gives up after ten seconds.
    async fn settled_ledger(&self) -> Value {
        let start = Instant::now();
        loop {
            let ledger = self.ledger().await;
            if ledger["open"] == 0 {
                return ledger;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "calls stay open: {ledger}");
        }
    }
}

/// A chat call with the directives in its text.
fn chat(directives: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": format!("hi [[sim {directives}]]")}]})
}

/// A chat call that is streamed and asks for the frame of usage.
fn chat_stream(directives: &str) -> Value {
    with(
        chat(directives),
        &json!({"stream": true, "stream_options": {"include_usage": true}}),
    )
}

/// A messages call with the directives in a part of its text.
fn message(directives: &str) -> Value {
    let text = format!("hi [[sim {directives}]]");
    json!({"model": "claude-haiku-4-5", "max_tokens": 50, "system": "be brief",
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]})
}

fn message_stream(directives: &str) -> Value {
    with(message(directives), &json!({"stream": true}))
}

fn with(mut body: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The chunks of a body until its end. The client takes a connection that closes early for a good end, so that
/// whether an answer was broken off is asked of `breaks_off`.
async fn chunks(mut answer: Answer) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    while let Some(chunk) = answer.next().await {
        chunks.push(chunk.unwrap());
    }
    chunks
}

/// The data of the SSE messages in a body, without the mark of the end.
fn events(chunks: &[Bytes]) -> Vec<Value> {
    let whole: BytesMut = chunks.iter().flatten().copied().collect();
    let text = std::str::from_utf8(&whole).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}
