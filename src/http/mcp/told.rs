//! A streamed completion, put together: the text of its pieces, why it ended, what it used and cost. What cannot be read
//! is left out; what the provider says in between is text and nothing else.

use serde_json::Value;

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub text: String,
    pub model: Value,
    pub finish_reason: Value,
    pub usage: Value,
    /// Decimal dollars, from the comment that the gateway ends its streams with.
    pub cost: Option<String>,
    /// The error that a stream ended with.
    pub refusal: Option<Value>,
}

impl Told {
    pub fn read(stream: &[u8]) -> Self {
        let mut told = Self::default();
        for line in String::from_utf8_lossy(stream).lines() {
            if let Some(data) = line.strip_prefix("data:") {
                told.hear(data.trim());
            } else if let Some(comment) = line.strip_prefix(':') {
                told.note(comment.trim());
            }
        }
        told
    }

    fn hear(&mut self, data: &str) {
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            return;
        };
        if chunk["error"].is_object() {
            self.refusal = Some(chunk);
            return;
        }
        let choice = &chunk["choices"][0];
        self.text
            .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        let latest = [
            (&mut self.model, &chunk["model"]),
            (&mut self.finish_reason, &choice["finish_reason"]),
            (&mut self.usage, &chunk["usage"]),
        ];
        for (kept, said) in latest {
            if !said.is_null() {
                *kept = said.clone();
            }
        }
    }

    fn note(&mut self, comment: &str) {
        if let Some(cost) = comment.strip_prefix("x-lava-cost ") {
            self.cost = Some(cost.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_are_put_together() {
        let stream = concat!(
            ": keep-alive\n\n",
            "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Hello \"}}]}\r\n\r\n",
            "data:{\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"data: you\"},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"total_tokens\":7}}\n\n",
            "data: junk\n\ndata: [DONE]\n\n: x-lava-cost 0.0001\n\n",
        );
        let told = Told::read(stream.as_bytes());
        assert_eq!(told.text, "Hello data: you");
        assert_eq!((told.model, told.finish_reason), (json!("m"), json!("stop")));
        assert_eq!(told.usage["total_tokens"], 7);
        assert_eq!((told.cost.as_deref(), told.refusal), (Some("0.0001"), None));
        assert_eq!(Told::read(b"\xff{"), Told::default());
    }

    #[test]
    fn an_error_in_the_stream_is_a_refusal() {
        let told = Told::read(b"data: {\"error\":{\"message\":\"m\",\"code\":\"c\"}}\n\n");
        assert_eq!(told.refusal.unwrap()["error"]["code"], "c");
    }
}
