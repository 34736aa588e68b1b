//! What a call asks for: the model, whether it streams, its output cap, and how much input it can be at most. The
//! input's bound is its bytes (a byte-level tokeniser makes no more tokens than bytes), so nothing is tokenised. What
//! makes a call's cost unknowable is named, and the caller decides whether that refuses it.

use std::ops::Range;

use super::media::Messages;
use super::{Dialect, OutputCapField};
use crate::domain::price::{Bound, ServiceTier};

/// Tokens that a provider may add around each message or tool.
pub(super) const MESSAGE_TOKENS: u64 = 16;
/// Tokens that a provider may add to a call, and to a call that has tools.
pub(super) const CALL_TOKENS: u64 = 64;
const TOOLS_TOKENS: u64 = 1_024;
/// Base64 bytes of sound that make at least one token: no codec in use is below 8 kbit a second, no provider counts
/// more than 32 tokens a second.
const AUDIO_BYTES_A_TOKEN: u64 = 16;

/// A body that is refused before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BodyError {
    /// The field that is wrong, where there is one.
    pub param: Option<String>,
    pub message: String,
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallShape {
    pub dialect: Dialect,
    pub model: String,
    pub stream: bool,
    /// The client asked for the usage chunk itself.
    pub include_usage: bool,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    /// `n`: answers that are made and billed side by side.
    pub choice_count: u64,
    pub service_tier: ServiceTier,
    pub message_count: u64,
    pub tool_count: u64,
    /// An upper bound of all text: the body's bytes without inline data.
    pub text_bytes: u64,
    pub image_count: u64,
    /// Base64 bytes of sound.
    pub audio_bytes: u64,
    /// Parts that count as a whole context window each: fetched by URL, files, unknown kinds.
    pub unmeasured_count: u64,
    /// Searches that the provider may run.
    pub web_searches: u64,
    /// The call lets a model that can think do so.
    pub may_think: bool,
    /// The call may write to a cache that lasts an hour or longer.
    pub long_cache: bool,
    /// The answer may be sound.
    pub audio_output: bool,
    /// Output that may be billed on top of the cap: rejected predictions.
    pub predicted_tokens: u64,
    /// The earlier answer on which the call goes on (responses).
    pub previous_response: Option<String>,
    /// The call goes on with a conversation that the provider keeps (responses).
    pub stored_conversation: bool,
    /// The field that makes the cost unknowable beforehand.
    pub unbounded: Option<&'static str>,
    pub(super) spans: Spans,
}

/// Where the fields stand that a rewrite may change, as byte ranges of their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    /// Just after the opening brace.
    pub(super) start: usize,
    pub(super) model: Range<usize>,
    pub(super) max_tokens: Option<Range<usize>>,
    pub(super) max_completion_tokens: Option<Range<usize>>,
    /// The object that holds the output cap, in dialects that keep it in one.
    pub(super) cap_home: Option<Range<usize>>,
    /// The list of tools (responses).
    pub(super) tools: Option<Range<usize>>,
    pub(super) stream_options: Option<Range<usize>>,
    pub(super) include_usage: Option<Range<usize>>,
}

/// The cap on output that a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputCap {
    /// In a field that the provider honours.
    Honoured(u64),
    /// Only in a field that this provider may ignore; write it into the provider's own.
    Elsewhere(u64),
    Absent,
}

impl CallShape {
    /// A call of which nothing is known but its model; its body has no place that a rewrite may change.
    pub fn named(dialect: Dialect, model: String) -> Self {
        Self::of(dialect, model, 0, Messages::default())
    }

    /// A call of which nothing is known but its model and its messages.
    pub(super) fn of(dialect: Dialect, model: String, body_bytes: u64, messages: Messages) -> Self {
        Self {
            dialect,
            model,
            stream: false,
            include_usage: false,
            max_tokens: None,
            max_completion_tokens: None,
            choice_count: 1,
            service_tier: ServiceTier::Standard,
            message_count: messages.message_count,
            tool_count: 0,
            text_bytes: body_bytes.saturating_sub(messages.inline_bytes),
            image_count: messages.image_count,
            audio_bytes: messages.audio_bytes,
            unmeasured_count: messages.unmeasured_count,
            web_searches: 0,
            may_think: false,
            long_cache: false,
            audio_output: false,
            predicted_tokens: 0,
            previous_response: None,
            stored_conversation: false,
            unbounded: None,
            spans: Spans::default(),
        }
    }

    /// The output cap, seen from a provider that honours the given field. A provider that takes
    /// `max_completion_tokens` honours both, and then the larger counts.
    pub fn output_cap(&self, field: OutputCapField) -> OutputCap {
        match (field, self.max_tokens, self.max_completion_tokens) {
            (_, None, None) => OutputCap::Absent,
            (OutputCapField::MaxCompletionTokens, old, new) => OutputCap::Honoured(old.max(new).unwrap_or(0)),
            (_, Some(cap), _) => OutputCap::Honoured(cap),
            (_, None, Some(cap)) => OutputCap::Elsewhere(cap),
        }
    }

    /// The bytes of the input where it is nothing but text.
    pub fn only_text_bytes(&self) -> Option<u64> {
        let other = self.image_count + self.audio_bytes + self.unmeasured_count + self.web_searches;
        (other == 0).then_some(self.text_bytes)
    }

    /// The most input tokens that the call can be billed for; `None` when that cannot be known.
    pub fn input_bound(&self, context_window: Option<u64>) -> Option<u64> {
        if self.web_searches > 0 {
            // Each search goes round once more, with its results in the context.
            return Some(context_window?.saturating_mul(self.web_searches.saturating_add(1)));
        }
        if self.unmeasured_count > 0 {
            return context_window;
        }
        let tools = if self.tool_count > 0 { TOOLS_TOKENS } else { 0 };
        let framing = MESSAGE_TOKENS * (self.message_count + self.tool_count) + CALL_TOKENS + tools;
        let images = self.image_count.saturating_mul(self.image_tokens_max());
        let measured = self.text_bytes + framing + self.audio_bytes.div_ceil(AUDIO_BYTES_A_TOKEN);
        let total = measured.saturating_add(images);
        Some(context_window.map_or(total, |window| total.min(window)))
    }

    /// The bound of the call when each choice makes at most `output_cap` tokens.
    pub fn bound(&self, context_window: Option<u64>, output_cap: u64) -> Option<Bound> {
        Some(Bound {
            input_tokens: self.input_bound(context_window)?,
            output_tokens: output_cap
                .saturating_mul(self.choice_count)
                .saturating_add(self.predicted_tokens),
            web_searches: self.web_searches,
            service_tier: self.service_tier,
            long_cache: self.long_cache,
            audio: self.audio_output || self.audio_bytes > 0,
            // What is fetched may be an image too.
            image_input: self.image_count + self.unmeasured_count > 0,
            ..Bound::default()
        })
    }

    /// The most tokens that one image costs: gpt-4o-mini's eight tiles are 48,169; Claude's largest are below 5,000.
    const fn image_tokens_max(&self) -> u64 {
        match self.dialect {
            Dialect::OpenAi | Dialect::Responses => 50_000,
            Dialect::Google => 20_000,
            Dialect::Bedrock => 10_000,
            Dialect::Anthropic => 5_000,
        }
    }
}
