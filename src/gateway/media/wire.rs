//! What answers of media endpoints say that they used: OpenAI's `usage` of images, speech and transcriptions, whole or
//! in the last event of a stream, and what its imitators write instead. It is lenient: what cannot be true is taken
//! for missing, and a body that is not JSON says nothing.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::domain::usage::{COUNT_MAX, Usage};
use crate::gateway::dialect::{Count, Text};

/// What an answer says, and how large it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaAnswer {
    pub tokens: Option<Tokens>,
    /// Of the sound that was heard.
    pub heard_ms: Option<u64>,
    pub image_count: Option<u64>,
    /// Characters that the provider says it billed.
    pub characters: Option<u64>,
    /// Of a sound that was sent, whose head says it.
    pub length_ms: Option<u64>,
    pub size_bytes: u64,
    pub response_id: Option<String>,
}

/// Tokens as a provider reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    input: u64,
    cached: u64,
    image_input: u64,
    audio_input: u64,
    output: u64,
    text_output: u64,
}

impl Tokens {
    /// Output is images but for what is said to be text.
    pub(super) fn of_images(self) -> Usage {
        let uncached = self.input - self.cached;
        Usage {
            input_tokens: uncached,
            cache_read_tokens: self.cached,
            image_input_tokens: self.image_input.min(uncached),
            output_tokens: self.output,
            image_output_tokens: self.output.saturating_sub(self.text_output),
            ..Usage::default()
        }
    }

    /// Input is sound, but for what is said to be text; output is text.
    pub(super) fn of_hearing(self) -> Usage {
        let uncached = self.input - self.cached;
        Usage {
            input_tokens: uncached,
            cache_read_tokens: self.cached,
            audio_input_tokens: self.audio_input.min(uncached),
            output_tokens: self.output,
            ..Usage::default()
        }
    }

    /// Output is sound.
    pub(super) fn of_speech(self) -> Usage {
        Usage {
            input_tokens: self.input - self.cached,
            cache_read_tokens: self.cached,
            output_tokens: self.output,
            audio_output_tokens: self.output,
            ..Usage::default()
        }
    }
}

/// A whole answer, or one event of a stream.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
    #[serde(default)]
    duration: Seconds,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
struct WireUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default, alias = "input_token_details", alias = "prompt_tokens_details")]
    input_tokens_details: Option<Details>,
    #[serde(default, alias = "output_token_details", alias = "completion_tokens_details")]
    output_tokens_details: Option<Details>,
    /// OpenAI's transcriptions that are billed by their length.
    #[serde(default)]
    seconds: Seconds,
    /// Mistral.
    #[serde(default)]
    prompt_audio_seconds: Seconds,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Details {
    #[serde(default)]
    text_tokens: Count,
    #[serde(default)]
    image_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
    #[serde(default)]
    cached_tokens: Count,
}

/// Seconds with a fraction, as milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seconds(Option<u64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(match value {
            serde_json::Value::Number(number) => milliseconds(&number.to_string()),
            // Some write it as a text.
            serde_json::Value::String(text) => milliseconds(&text),
            _ => None,
        }))
    }
}

/// Decimal seconds as milliseconds, rounded up; `None` for what cannot be a length.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let rest = fraction.bytes().skip(3).any(|digit| digit != b'0');
    let total = whole.checked_mul(1000)?.checked_add(thousandths + u64::from(rest))?;
    (total <= COUNT_MAX).then_some(total)
}

impl WireUsage {
    fn tokens(&self) -> Option<Tokens> {
        let (input, output) = (
            self.input_tokens.or(self.prompt_tokens),
            self.output_tokens.or(self.completion_tokens),
        );
        let (taken, made) = (
            self.input_tokens_details.unwrap_or_default(),
            self.output_tokens_details.unwrap_or_default(),
        );
        let counts = [
            output,
            taken.text_tokens,
            taken.image_tokens,
            taken.audio_tokens,
            taken.cached_tokens,
            made.text_tokens,
        ];
        if counts.contains(&Count::Unusable) {
            return None;
        }
        let input = input.known()?;
        Some(Tokens {
            input,
            cached: taken.cached_tokens.or_zero().min(input),
            image_input: taken.image_tokens.or_zero(),
            audio_input: taken.audio_tokens.or_zero(),
            output: output.or_zero(),
            text_output: made.text_tokens.or_zero(),
        })
    }
}

impl MediaAnswer {
    /// Reads a whole answer.
    pub fn read(body: &[u8]) -> Self {
        let mut answer = Self::default();
        if let Ok(body) = serde_json::from_slice::<Body<'_>>(body) {
            answer.image_count = body.data.as_ref().map(|data| data.len() as u64);
            answer.take(&body);
        }
        answer.size_bytes = body.len() as u64;
        answer
    }

    /// Takes in the data of one event of a stream.
    pub fn take_event(&mut self, data: &[u8]) {
        if let Ok(body) = serde_json::from_slice::<Body<'_>>(data) {
            self.take(&body);
            let kind = body.kind.as_ref().map_or("", |kind| &kind.0);
            if kind.ends_with(".completed") {
                self.image_count = Some(self.image_count.unwrap_or(0) + 1);
            }
        }
    }

    fn take(&mut self, body: &Body<'_>) {
        if let Some(id) = &body.id {
            self.response_id = Some(id.0.to_string());
        }
        if let Some(usage) = &body.usage {
            self.tokens = usage.tokens().or(self.tokens);
            self.heard_ms = usage.seconds.0.or(usage.prompt_audio_seconds.0).or(self.heard_ms);
        }
        self.heard_ms = self.heard_ms.or(body.duration.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usage_of_images_with_its_parts() {
        let answer = MediaAnswer::read(
            br#"{"created":1,"data":[{"b64_json":"AAAA"},{"b64_json":"BBBB"}],"usage":{"total_tokens":150,
            "input_tokens":50,"output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#,
        );
        assert_eq!(answer.image_count, Some(2));
        let usage = answer.tokens.unwrap().of_images();
        assert_eq!(
            (
                usage.input_tokens,
                usage.image_input_tokens,
                usage.output_tokens,
                usage.image_output_tokens
            ),
            (50, 40, 100, 100)
        );
        let parts = br#"{"usage":{"input_tokens":9,"output_tokens":100,"output_tokens_details":{"text_tokens":30,"image_tokens":70}}}"#;
        assert_eq!(
            MediaAnswer::read(parts).tokens.unwrap().of_images().image_output_tokens,
            70
        );
    }

    #[test]
    fn what_cannot_be_true_is_missing() {
        for usage in [
            r#"{}"#,
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":9007199254740992}"#,
            r#"{"input_tokens":1,"output_tokens":1,"input_tokens_details":{"image_tokens":-4}}"#,
        ] {
            let body = format!(r#"{{"usage":{usage}}}"#);
            assert_eq!(MediaAnswer::read(body.as_bytes()).tokens, None, "{usage}");
        }
        assert_eq!(MediaAnswer::read(b"<html>").tokens, None);
    }

    #[test]
    fn lengths_are_read_to_the_millisecond_and_rounded_up() {
        let table = [
            ("5", Some(5_000)),
            ("8.47", Some(8_470)),
            ("0.0001", Some(1)),
            ("3.1415926", Some(3_142)),
            ("-1", None),
            ("1e3", None),
            ("", None),
            ("NaN", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in table {
            assert_eq!(milliseconds(text), expected, "{text:?}");
        }
        let whisper = br#"{"text":"hi","duration":8.470000267028809,"usage":{"type":"duration","seconds":9}}"#;
        assert_eq!(MediaAnswer::read(whisper).heard_ms, Some(9_000));
        assert_eq!(MediaAnswer::read(br#"{"duration":"8.47"}"#).heard_ms, Some(8_470));
    }

    #[test]
    fn the_last_event_of_a_stream_says_it() {
        let mut answer = MediaAnswer::default();
        answer.take_event(br#"{"type":"image_generation.partial_image","b64_json":"AAAA"}"#);
        answer.take_event(
            br#"{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":3,"output_tokens":4}}"#,
        );
        assert_eq!(
            (answer.image_count, answer.tokens.map(|tokens| tokens.output)),
            (Some(1), Some(4))
        );
    }
}
