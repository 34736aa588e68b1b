//! A model's turn as it is decided before its first byte, for the dialects that have thoughts beside the text: how
//! much is thought, said, searched and called, how it ends, and the usage it will report.
//! Thoughts come on top of the asked length and are part of the output; a cap counts both, thoughts first.

use serde_json::Value;

use super::answer::{AnswerId, Usage, natural, unix_seconds};
use super::directive::{Cap, Directives, Report, Signed, Vocabulary};
use super::ledger::OpenEntry;
use super::refusal::Refusal;
use super::stream::Reported;
use super::text;
use super::tools::OUTPUT_TOKENS;

/// What thoughts are signed with, and what reasoning that is handed over unread consists of.
pub(super) const SIGNATURE: &str = "c2ltdWxhdGVkLXNpZ25hdHVyZS1vZi10aG91Z2h0cw==";

/// What a caller asks of a model, so far as the answer depends on it.
#[derive(Debug)]
pub(super) struct Ask {
    pub model: String,
    pub input_tokens: u64,
    pub output_tokens_cap: Option<u64>,
    /// Whether the last message brings the results of tools.
    pub has_results: bool,
    /// Whether a signature of thoughts came back where the dialect has its place.
    pub has_signature: bool,
}

/// One decided turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub id: AnswerId,
    pub created: u64,
    pub model: String,
    pub thought_tokens: u64,
    pub text_tokens: u64,
    pub calls: Vec<ToolCall>,
    pub search_count: u32,
    pub finish: Finish,
    pub vocabulary: Vocabulary,
    pub usage: Option<Usage>,
    cached_tokens: u64,
    cache_write_tokens: u64,
    input_tokens: u64,
    error_after: Option<u64>,
}

/// One call of a tool.
#[derive(Debug)]
pub(super) struct ToolCall {
    pub id: AnswerId,
    pub name: String,
    /// JSON, as text.
    pub input: String,
}

/// Why the turn ends where it ends.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Finish {
    Natural,
    Length,
    Tools,
}

/// Whether cached tokens are a part of the input, or come beside it.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum CachedInput {
    Within,
    Beside,
}

impl Turn {
    /// Decides the turn; `body` is what an unasked length is drawn from.
    pub(super) fn decide(ask: Ask, directives: &Directives, body: &[u8]) -> Result<Self, Refusal> {
        if directives.signed == Signed::Required && ask.has_results && !ask.has_signature {
            return Err(Refusal::bad_request(
                "The signature of the thoughts before the tool call is missing.".to_owned(),
            ));
        }
        let cap = match directives.cap {
            Cap::Respected => ask.output_tokens_cap.unwrap_or(u64::MAX),
            Cap::Ignored => u64::MAX,
        };
        let thoughts = u64::from(directives.report.reasoning_tokens);
        let thought_tokens = thoughts.min(cap);
        let calls = match ask.has_results {
            true => Vec::new(),
            false => tool_calls(directives),
        };
        let natural = natural(directives, body);
        let (text_tokens, finish) = match (calls.is_empty(), natural.min(cap - thought_tokens)) {
            (false, _) => (0, Finish::Tools),
            (true, text_tokens) if text_tokens < natural => (text_tokens, Finish::Length),
            (true, text_tokens) => (text_tokens, Finish::Natural),
        };
        let mut turn = Self {
            id: AnswerId::next(),
            created: unix_seconds(),
            model: ask.model,
            thought_tokens,
            text_tokens,
            calls,
            search_count: directives.web_searches,
            finish,
            vocabulary: directives.vocabulary.clone(),
            usage: None,
            cached_tokens: u64::from(directives.report.cached_tokens),
            cache_write_tokens: u64::from(directives.report.cache_write_tokens),
            input_tokens: ask.input_tokens,
            error_after: directives.error_after,
        };
        turn.usage = turn.reported_usage(&directives.report);
        Ok(turn)
    }

    /// The text of the answer.
    pub(super) fn text(&self) -> String {
        words(&self.vocabulary, self.text_tokens)
    }

    /// The text of the thoughts.
    pub(super) fn thoughts(&self) -> String {
        words(&self.vocabulary, self.thought_tokens)
    }

    /// All that is thought, said and called.
    pub(super) fn output_tokens(&self) -> u64 {
        self.thought_tokens + self.text_tokens + self.called_tokens()
    }

    /// What the calls of tools cost together.
    pub(super) fn called_tokens(&self) -> u64 {
        if self.calls.is_empty() { 0 } else { OUTPUT_TOKENS }
    }

    /// The usage that the end of the answer reports.
    pub(super) fn reported(&self) -> Option<Reported> {
        self.usage.as_ref().map(Reported::whole)
    }

    /// After how many frames of content a stream of it is to end with an error.
    pub(super) fn error_after(&self) -> Option<u64> {
        self.error_after
    }

    /// Books what came in and what is made whatever becomes of the answer: input, caches and searches.
    pub(super) fn book(&self, entry: &mut OpenEntry, cached: CachedInput) {
        let sums = &mut entry.sums;
        sums.input_tokens = self.input_tokens;
        sums.searches = u64::from(self.search_count);
        match cached {
            CachedInput::Within => sums.cached_tokens = self.cached_tokens.min(self.input_tokens),
            CachedInput::Beside => {
                sums.cached_tokens = self.cached_tokens;
                sums.cache_write_tokens = self.cache_write_tokens;
            }
        }
    }

    /// What was thought is the true count, whatever was asked for.
    fn reported_usage(&self, report: &Report) -> Option<Usage> {
        let thought_tokens = u32::try_from(self.thought_tokens).unwrap_or(u32::MAX);
        let report = Report {
            reasoning_tokens: thought_tokens,
            ..*report
        };
        Usage::reported(&report, self.input_tokens, self.output_tokens())
    }
}

/// Whether a text stands under a name anywhere in a JSON.
pub(super) fn carries(value: &Value, name: &str, text: &str) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, member)| (key == name && member == text) || carries(member, name, text)),
        Value::Array(items) => items.iter().any(|item| carries(item, name, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The bytes of all strings under any of the names, at any depth.
pub(super) fn text_bytes(value: &Value, names: &[&str]) -> u64 {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| match member {
                Value::String(text) if names.contains(&key.as_str()) => text.len() as u64,
                _ => text_bytes(member, names),
            })
            .sum(),
        Value::Array(items) => items.iter().map(|item| text_bytes(item, names)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The bytes of a member's JSON, none where there is none.
pub(super) fn json_bytes(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        present => present.to_string().len() as u64,
    }
}

/// A text of so many tokens.
pub(super) fn words(vocabulary: &Vocabulary, count: u64) -> String {
    let mut bytes = Vec::new();
    text::append(vocabulary, count, &mut bytes);
    text::unescaped(&String::from_utf8_lossy(&bytes))
}

fn tool_calls(directives: &Directives) -> Vec<ToolCall> {
    let Some(name) = &directives.tools.name else {
        return Vec::new();
    };
    let count = directives.tools.count.unwrap_or(1).clamp(1, 8);
    let call = |_| ToolCall {
        id: AnswerId::next(),
        name: name.to_string(),
        input: directives.tools.input.clone().unwrap_or_else(|| "{}".to_owned()),
    };
    (0..count).map(call).collect()
}
