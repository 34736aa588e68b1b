//! The part of a call's body that the simulated provider reads, in one pass and without copying.
//! Both dialects share it: what differs (Anthropic's required cap, OpenAI's `stream_options`) is checked after the
//! reading. What a real provider would refuse is refused here with the text it would be refused with.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::conversation::{Messages, Text};
use super::dialect::Dialect;

/// The most choices OpenAI makes of one call.
const CHOICE_COUNT_MAXIMUM: u32 = 128;

/// A call that can be answered.
#[derive(Debug)]
pub(super) struct Call<'body> {
    /// The model's name as it stood in the body, with its quotes.
    pub model_json: &'body str,
    pub input_tokens: u64,
    pub output_tokens_cap: Option<u64>,
    pub choice_count: u32,
    pub delivery: Delivery,
}

/// How the answer is wanted.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Delivery {
    Whole,
    Streamed { usage: UsageFrame },
}

/// Whether an OpenAI stream ends with a frame of usage.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum UsageFrame {
    Wanted,
    Unwanted,
}

#[derive(Deserialize)]
struct Body<'body> {
    #[serde(borrow)]
    model: Option<&'body RawValue>,
    messages: Option<Messages>,
    system: Option<Text>,
    #[serde(borrow)]
    tools: Option<&'body RawValue>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'body> Call<'body> {
    /// Reads the body; the error is the message a provider would answer with status 400.
    pub(super) fn read(dialect: Dialect, body: &'body str) -> Result<Self, String> {
        let body: Body<'body> =
            serde_json::from_str(body).map_err(|error| format!("We could not parse the JSON body: {error}"))?;
        let model_json = body
            .model
            .map(RawValue::get)
            .ok_or("you must provide a model parameter")?;
        if !model_json.starts_with('"') || model_json.len() < 3 {
            return Err("model: Input should be a valid string".to_owned());
        }
        let messages = body
            .messages
            .as_ref()
            .ok_or("Missing required parameter: 'messages'.")?;
        if messages.count == 0 {
            return Err("messages: at least one message is required".to_owned());
        }
        Ok(Self {
            model_json,
            input_tokens: body.input_tokens(messages),
            output_tokens_cap: body.output_tokens_cap(dialect)?,
            choice_count: body.choice_count(dialect)?,
            delivery: body.delivery(dialect)?,
        })
    }

    /// The model's name without its quotes.
    pub(super) fn model(&self) -> &'body str {
        self.model_json.trim_matches('"')
    }
}

impl Body<'_> {
    fn input_tokens(&self, messages: &Messages) -> u64 {
        let text_bytes = messages.text_bytes + self.system.map_or(0, |system| system.0);
        let tools_bytes = self.tools.map_or(0, |tools| tools.get().len() as u64);
        text_bytes.div_ceil(4) + 4 * messages.count + 3 + tools_bytes.div_ceil(4)
    }

    fn output_tokens_cap(&self, dialect: Dialect) -> Result<Option<u64>, String> {
        let cap = match dialect {
            Dialect::OpenAi => self.max_completion_tokens.or(self.max_tokens),
            Dialect::Anthropic => Some(self.max_tokens.ok_or("max_tokens: Field required")?),
        };
        match cap {
            Some(0) => Err("max_tokens: must be greater than or equal to 1".to_owned()),
            Some(_) | None => Ok(cap),
        }
    }

    fn choice_count(&self, dialect: Dialect) -> Result<u32, String> {
        match (dialect, self.n) {
            (Dialect::Anthropic, Some(_)) => Err("n: Extra inputs are not permitted".to_owned()),
            (Dialect::OpenAi, Some(count)) if !(1..=CHOICE_COUNT_MAXIMUM).contains(&count) => Err(format!(
                "Invalid 'n': expected a value between 1 and {CHOICE_COUNT_MAXIMUM}."
            )),
            (Dialect::OpenAi, Some(count)) => Ok(count),
            (Dialect::OpenAi | Dialect::Anthropic, None) => Ok(1),
        }
    }

    fn delivery(&self, dialect: Dialect) -> Result<Delivery, String> {
        let streamed = self.stream.unwrap_or(false);
        let usage = match (dialect, &self.stream_options) {
            (Dialect::Anthropic, Some(_)) => {
                return Err("stream_options: Extra inputs are not permitted".to_owned());
            }
            (Dialect::OpenAi, Some(_)) if !streamed => {
                return Err("The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned());
            }
            (Dialect::OpenAi, Some(options)) if options.include_usage == Some(true) => UsageFrame::Wanted,
            (Dialect::OpenAi, Some(_)) | (Dialect::OpenAi | Dialect::Anthropic, None) => UsageFrame::Unwanted,
        };
        Ok(if streamed {
            Delivery::Streamed { usage }
        } else {
            Delivery::Whole
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input_tokens(dialect: Dialect, body: &str) -> u64 {
        Call::read(dialect, body).unwrap().input_tokens
    }

    #[test]
    fn input_tokens_are_counted_from_text_messages_and_tools() {
        let table = [
            (
                r#"{"model":"m","messages":[{"role":"user","content":"12345"}]}"#,
                2 + 4 + 3,
            ),
            (
                r#"{"model":"m","messages":[{"content":"1234"},{"content":null},{}]}"#,
                1 + 12 + 3,
            ),
            (r#"{"model":"m","messages":[{"content":"\u00e9\n"}]}"#, 1 + 4 + 3),
            (
                r#"{"model":"m","messages":[{"content":[{"type":"text","text":"1234"},{"type":"image_url","image_url":{"url":"x"}}]}]}"#,
                1 + 4 + 3,
            ),
            (
                r#"{"model":"m","messages":[{"content":[{"type":"tool_result","content":[{"text":"12345678"}]}]}]}"#,
                9,
            ),
            (
                r#"{"model":"m","tools":[{"a":1}],"messages":[{"content":"1234"}]}"#,
                1 + 4 + 3 + 3,
            ),
            (
                r#"{"model":"m","system":[{"type":"text","text":"12345678"}],"messages":[{"content":"1234"}]}"#,
                10,
            ),
        ];
        for (body, expected) in table {
            assert_eq!(input_tokens(Dialect::OpenAi, body), expected, "{body}");
        }
    }

    #[test]
    fn what_a_provider_would_refuse_is_refused() {
        let table = [
            (Dialect::OpenAi, r#"{"messages":[{"content":"a"}]}"#, "model"),
            (Dialect::OpenAi, r#"{"model":7,"messages":[{"content":"a"}]}"#, "model"),
            (Dialect::OpenAi, r#"{"model":"m"}"#, "messages"),
            (Dialect::OpenAi, r#"{"model":"m","messages":[]}"#, "messages"),
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[{"content":"a"}],"n":0}"#,
                "'n'",
            ),
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[{"content":"a"}],"max_tokens":0}"#,
                "max_tokens",
            ),
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[{"content":"a"}],"stream":"yes"}"#,
                "parse",
            ),
            (
                Dialect::OpenAi,
                r#"{"model":"m","messages":[{"content":"a"}],"stream_options":{}}"#,
                "stream_options",
            ),
            (Dialect::OpenAi, "{", "parse"),
            (
                Dialect::Anthropic,
                r#"{"model":"m","messages":[{"content":"a"}]}"#,
                "max_tokens",
            ),
        ];
        for (dialect, body, expected) in table {
            let refused = Call::read(dialect, body).unwrap_err();
            assert!(refused.contains(expected), "{body}: {refused}");
        }
    }

    #[test]
    fn the_newer_name_of_the_cap_stands_over_the_older() {
        let body = r#"{"model":"m","messages":[{"content":"a"}],"max_tokens":5,"max_completion_tokens":7}"#;
        assert_eq!(Call::read(Dialect::OpenAi, body).unwrap().output_tokens_cap, Some(7));
        assert_eq!(Call::read(Dialect::Anthropic, body).unwrap().output_tokens_cap, Some(5));
    }
}
