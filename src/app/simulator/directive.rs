//! What a caller asks the simulated provider to do wrong, or to do in its own time.
//! Directives stand in the header `x-sim` or inside any text of the body as `[[sim key=value key=value]]`; a later
//! one overrides an earlier one. An unknown key or an unreadable value is refused, so that a misspelt test fails
//! instead of passing for the wrong reason.

use std::sync::Arc;

use super::text;
use super::tools::{Wanted, from_hexadecimal};

/// The header that carries directives when the simulator is called directly.
pub(super) const HEADER: &str = "x-sim";

const OPENING: &str = "[[sim ";
const CLOSING: &str = "]]";

/// The token counts past which an answer is not made, whatever is asked for.
const OUTPUT_TOKENS_MAXIMUM: u64 = 1_000_000;

/// The directives of one call. The default asks for nothing: an ordinary, truthful and prompt answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Directives {
    pub timing: Timing,
    pub ending: Ending,
    pub split_bytes: Option<usize>,
    pub output_tokens: Option<u64>,
    pub cap: Cap,
    pub vocabulary: Vocabulary,
    pub report: Report,
    pub fault: Option<Fault>,
    pub fail_times: Option<u64>,
    pub tag: Option<Box<str>>,
    pub tools: Wanted,
    /// After how many content frames a stream ends with the provider's own error event.
    pub error_after: Option<u64>,
    /// How often the model searches the web before it answers.
    pub web_searches: u32,
    pub signed: Signed,
    pub flavour: Flavour,
    /// The length of a sound that does not say its own.
    pub audio_ms: Option<u64>,
}

/// Whose words a chat completion is told in.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) enum Flavour {
    #[default]
    OpenAi,
    DeepSeek,
    Mistral,
}

/// Whether the signature of the thoughts before a tool call must come back with the tool's result.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) enum Signed {
    #[default]
    Optional,
    Required,
}

/// Waiting that was asked for.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) struct Timing {
    pub delay_ms: u64,
    pub chunk_ms: u64,
}

/// How the answer ends, where it does not end well. Both count content frames.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) struct Ending {
    pub cut_after: Option<u64>,
    pub hang_after: Option<u64>,
}

/// Whether the caller's cap on the output is respected.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) enum Cap {
    #[default]
    Respected,
    Ignored,
}

/// Which list of words the answer is made of.
#[derive(Debug, Default, PartialEq, Clone)]
pub(super) enum Vocabulary {
    #[default]
    Plain,
    MultiByte,
    /// The answer itself, such as a document that was asked for: its tokens, each as it stands in a JSON string.
    Said(Arc<[Box<str>]>),
}

/// What is reported as used, which need not be what was used.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) struct Report {
    pub usage: ReportedUsage,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub cached_tokens: u32,
    pub cache_write_tokens: u32,
    pub reasoning_tokens: u32,
}

/// The general tenor of the reported usage.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
pub(super) enum ReportedUsage {
    #[default]
    Truth,
    Zero,
    Missing,
    Negative,
    Huge,
}

/// An answer that is no completion at all.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Fault {
    Status(u16),
    Html,
    /// A status and nothing else.
    Empty(u16),
    BadJson,
    Redirect,
}

/// A directive that could not be understood; the text names it.
#[derive(Debug, PartialEq)]
pub(super) struct UnknownDirective(pub String);

impl Directives {
    /// Reads the header's directives and then all that stand in the body.
    pub(super) fn read(header: Option<&str>, body: &str) -> Result<Self, UnknownDirective> {
        let mut directives = Self::default();
        if let Some(header) = header {
            directives.apply_all(header)?;
        }
        let mut rest = body;
        while let Some(start) = find_opening(rest) {
            let inside = &rest[start + OPENING.len()..];
            let Some(end) = inside.find(CLOSING) else {
                return Err(UnknownDirective("a directive without its closing ]]".to_owned()));
            };
            directives.apply_all(&inside[..end])?;
            rest = &inside[end + CLOSING.len()..];
        }
        Ok(directives)
    }

    fn apply_all(&mut self, text: &str) -> Result<(), UnknownDirective> {
        for pair in text.split_ascii_whitespace() {
            let applied = match pair.split_once('=') {
                Some((key, value)) => self.apply(key, value),
                None => None,
            };
            applied.ok_or_else(|| UnknownDirective(pair.to_owned()))?;
        }
        Ok(())
    }

    fn apply(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "delay_ms" => self.timing.delay_ms = value.parse().ok()?,
            "chunk_ms" => self.timing.chunk_ms = value.parse().ok()?,
            "cut_after" => self.ending.cut_after = Some(value.parse().ok()?),
            "hang_after" => self.ending.hang_after = Some(value.parse().ok()?),
            "split" => self.split_bytes = Some(value.parse().ok().filter(|size| *size > 0)?),
            "output_tokens" => {
                let count: u64 = value.parse().ok()?;
                self.output_tokens = Some(count.min(OUTPUT_TOKENS_MAXIMUM));
            }
            "ignore_cap" => self.cap = switch(value, Cap::Respected, Cap::Ignored)?,
            "error_after" => self.error_after = Some(value.parse().ok()?),
            "web_searches" => self.web_searches = value.parse().ok()?,
            "needs_signature" => self.signed = switch(value, Signed::Optional, Signed::Required)?,
            "flavour" => self.flavour = Flavour::read(value)?,
            "audio_ms" => self.audio_ms = Some(value.parse().ok()?),
            "utf8" => self.vocabulary = switch(value, Vocabulary::Plain, Vocabulary::MultiByte)?,
            "say" => self.vocabulary = Vocabulary::Said(text::tokens(&from_hexadecimal(value)?)),
            "fail_times" => self.fail_times = Some(value.parse().ok()?),
            "tag" => self.tag = Some(value.into()),
            "call_tool" => self.tools.name = Some(value.into()),
            "call_tools" => self.tools.count = Some(value.parse().ok()?),
            "tool_input" => self.tools.input = Some(from_hexadecimal(value)?),
            "status" => {
                let status = value.parse().ok().filter(|status| (400..600).contains(status))?;
                self.fault = Some(Fault::Status(status));
            }
            "empty" => {
                let status = value.parse().ok().filter(|status| (200..600).contains(status))?;
                self.fault = Some(Fault::Empty(status));
            }
            "html" => self.fault = switch(value, None, Some(Fault::Html))?,
            "bad_json" => self.fault = switch(value, None, Some(Fault::BadJson))?,
            "redirect" => self.fault = switch(value, None, Some(Fault::Redirect))?,
            _ => self.report.apply(key, value)?,
        }
        Some(())
    }
}

impl Report {
    fn apply(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "usage" => self.usage = ReportedUsage::read(value)?,
            "usage_input" => self.input_tokens = Some(value.parse().ok()?),
            "usage_output" => self.output_tokens = Some(value.parse().ok()?),
            "cached_tokens" => self.cached_tokens = value.parse().ok()?,
            "cache_write_tokens" => self.cache_write_tokens = value.parse().ok()?,
            "reasoning_tokens" => self.reasoning_tokens = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

impl Flavour {
    fn read(value: &str) -> Option<Self> {
        match value {
            "openai" => Some(Self::OpenAi),
            "deepseek" => Some(Self::DeepSeek),
            "mistral" => Some(Self::Mistral),
            _ => None,
        }
    }
}

impl ReportedUsage {
    fn read(value: &str) -> Option<Self> {
        match value {
            "truth" => Some(Self::Truth),
            "zero" => Some(Self::Zero),
            "missing" => Some(Self::Missing),
            "negative" => Some(Self::Negative),
            "huge" => Some(Self::Huge),
            _ => None,
        }
    }
}

fn switch<T>(value: &str, off: T, on: T) -> Option<T> {
    match value {
        "0" => Some(off),
        "1" => Some(on),
        _ => None,
    }
}

/// Looks for single brackets first: the search for one character is several times faster than that for a string,
/// and a body of 100 kB has few of them.
fn find_opening(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(offset) = text[from..].find('[') {
        let start = from + offset;
        if text[start..].starts_with(OPENING) {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Directives {
        Directives::read(None, body).unwrap()
    }

    #[test]
    fn a_body_without_directives_asks_for_nothing() {
        assert_eq!(read(r#"{"messages":[[1],["[sim"]]}"#), Directives::default());
    }

    #[test]
    fn every_key_is_read_from_the_body() {
        let read = read(
            "x [[sim delay_ms=1 chunk_ms=2 cut_after=3 hang_after=4 split=5 output_tokens=6 ignore_cap=1 utf8=1 \
             usage=huge usage_input=-7 usage_output=8 cached_tokens=9 cache_write_tokens=10 reasoning_tokens=11 \
             status=529 fail_times=12 tag=a-b call_tool=f call_tools=2 tool_input=7b7d error_after=13 \
             web_searches=14 needs_signature=1 flavour=mistral audio_ms=15]] y",
        );
        let expected = Directives {
            timing: Timing {
                delay_ms: 1,
                chunk_ms: 2,
            },
            ending: Ending {
                cut_after: Some(3),
                hang_after: Some(4),
            },
            split_bytes: Some(5),
            output_tokens: Some(6),
            cap: Cap::Ignored,
            vocabulary: Vocabulary::MultiByte,
            report: Report {
                usage: ReportedUsage::Huge,
                input_tokens: Some(-7),
                output_tokens: Some(8),
                cached_tokens: 9,
                cache_write_tokens: 10,
                reasoning_tokens: 11,
            },
            fault: Some(Fault::Status(529)),
            fail_times: Some(12),
            tag: Some("a-b".into()),
            tools: Wanted {
                name: Some("f".into()),
                input: Some("{}".to_owned()),
                count: Some(2),
            },
            error_after: Some(13),
            web_searches: 14,
            signed: Signed::Required,
            flavour: Flavour::Mistral,
            audio_ms: Some(15),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn the_body_overrides_the_header_and_a_later_directive_an_earlier_one() {
        let read = Directives::read(Some("tag=a delay_ms=1"), "[[sim tag=b]][[sim tag=c]]").unwrap();
        assert_eq!(read.tag.as_deref(), Some("c"));
        assert_eq!(read.timing.delay_ms, 1);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for text in [
            "dealy_ms=1",
            "delay_ms=soon",
            "status=200",
            "split=0",
            "html=yes",
            "tool_input=7",
            "call_tools=x",
            "empty=99",
            "usage=none",
            "tag",
        ] {
            let refused = Directives::read(Some(text), "").unwrap_err();
            assert_eq!(refused, UnknownDirective(text.to_owned()));
        }
        assert!(Directives::read(None, "[[sim tag=a").is_err());
    }
}
