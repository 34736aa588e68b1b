//! The requests that the load is made of, as ready bytes: a head, a place for the key, and the body.
//! The prompt tells the simulated provider how long to answer, so that everything that is compared serves the same bytes.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

const FILLER: &str = "the quick brown fox jumps over the lazy dog and runs along the river ";

/// Whether an answer comes whole or in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Whole,
    Streamed,
}

/// What a completion request asks for.
#[derive(Clone)]
pub struct Prompt {
    pub model: String,
    /// About how long the body is.
    pub prompt_bytes: usize,
    pub delivery: Delivery,
    /// What stands between `[[sim ` and `]]` for the simulated provider.
    pub directive: String,
}

impl Prompt {
    /// The body of the request, in the shape of OpenAI's chat completions.
    pub fn body(&self) -> String {
        let streaming = match self.delivery {
            Delivery::Whole => "",
            Delivery::Streamed => r#","stream":true,"stream_options":{"include_usage":true}"#,
        };
        let before = format!(
            r#"{{"model":"{}","max_tokens":64{streaming},"messages":[{{"role":"user","content":"[[sim {}]] "#,
            self.model, self.directive
        );
        let after = r#""}]}"#;
        let filler_bytes = self.prompt_bytes.saturating_sub(before.len() + after.len());
        let filler: String = FILLER.chars().cycle().take(filler_bytes).collect();
        format!("{before}{filler}{after}")
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub address: SocketAddr,
    pub method: &'a str,
    pub path: &'a str,
}

/// A request as bytes, in which only the key changes.
#[derive(Clone)]
pub struct Template {
    before_key: Arc<[u8]>,
    after_key: Arc<[u8]>,
}

impl Template {
    /// Lays out the request.
    pub fn new(target: Target<'_>, body: &str) -> Self {
        let Target { address, method, path } = target;
        let before = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: caldera-load-tests\r\naccept: */*\r\nauthorization: Bearer "
        );
        let length = body.len();
        let after = format!("\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        Self {
            before_key: before.into_bytes().into(),
            after_key: after.into_bytes().into(),
        }
    }

    /// The request with this key, ready to be written.
    pub fn with_key(&self, key: &str) -> RequestBytes {
        let start = self.before_key.len();
        let mut bytes = Vec::with_capacity(start + key.len() + self.after_key.len());
        bytes.extend_from_slice(&self.before_key);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(&self.after_key);
        RequestBytes {
            bytes,
            key: start..start + key.len(),
        }
    }
}

/// One connection's copy of a request, in which the key is overwritten in place.
pub struct RequestBytes {
    bytes: Vec<u8>,
    key: Range<usize>,
}

impl RequestBytes {
    /// Changes the key. A key of the same length costs no copy of the body.
    pub fn set_key(&mut self, key: &str) {
        if key.len() == self.key.len() {
            self.bytes[self.key.clone()].copy_from_slice(key.as_bytes());
        } else {
            self.bytes.splice(self.key.clone(), key.bytes());
            self.key.end = self.key.start + key.len();
        }
    }

    /// The whole request.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(delivery: Delivery) -> Prompt {
        Prompt {
            model: "gpt-4o-mini".into(),
            prompt_bytes: 500,
            delivery,
            directive: "output_tokens=16".into(),
        }
    }

    #[test]
    fn a_body_is_json_of_the_length_asked_for() {
        for delivery in [Delivery::Whole, Delivery::Streamed] {
            let body = prompt(delivery).body();
            assert_eq!(body.len(), 500);
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json["stream"] == true, delivery == Delivery::Streamed);
        }
    }

    #[test]
    fn changing_the_key_changes_nothing_else() {
        let target = Target {
            address: ([127, 0, 0, 1], 80).into(),
            method: "POST",
            path: "/v1/chat/completions",
        };
        let template = Template::new(target, "{}");
        let mut bytes = template.with_key("first");
        for key in ["other", "a-longer-key", "x", ""] {
            bytes.set_key(key);
            assert_eq!(bytes.as_slice(), template.with_key(key).as_slice());
        }
    }
}
