//! Usage as responses tell it: `input_tokens` has the cached ones in it.

use serde::Deserialize;

use crate::domain::usage::Usage;
use crate::gateway::dialect::Count;
use crate::gateway::translate::json::Object;

/// The usage of a whole answer, or of an event that holds one; `None` where it tells none that can be true.
pub fn read_usage(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        usage: Option<WireUsage>,
        #[serde(default)]
        response: Option<Inside>,
    }
    #[derive(Deserialize)]
    struct Inside {
        #[serde(default)]
        usage: Option<WireUsage>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    body.usage.or(body.response.and_then(|inside| inside.usage))?.read()
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gateway) struct WireUsage {
    input_tokens: Count,
    input_tokens_details: Option<InputDetails>,
    output_tokens: Count,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
}

impl WireUsage {
    pub(in crate::gateway) fn read(self) -> Option<Usage> {
        let details = self.input_tokens_details.unwrap_or_default();
        let reasoning = self.output_tokens_details.unwrap_or_default().reasoning_tokens;
        let parts = [
            details.cached_tokens,
            details.cache_write_tokens,
            reasoning,
            self.output_tokens,
        ];
        if parts.contains(&Count::Unusable) {
            return None;
        }
        let input = self.input_tokens.known()?;
        let output = self.output_tokens.or_zero();
        let cached = details.cached_tokens.or_zero().min(input);
        let written = details.cache_write_tokens.or_zero().min(input - cached);
        Some(Usage {
            input_tokens: input - cached - written,
            cache_read_tokens: cached,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: reasoning.or_zero().min(output),
            ..Usage::default()
        })
    }
}

pub(in crate::gateway) fn write_usage(usage: &Usage) -> Object<'static> {
    Object::new()
        .with("input_tokens", usage.total_input())
        .with(
            "input_tokens_details",
            Object::new().with("cached_tokens", usage.cache_read_tokens),
        )
        .with("output_tokens", usage.output_tokens)
        .with(
            "output_tokens_details",
            Object::new().with("reasoning_tokens", usage.reasoning_tokens),
        )
        .with("total_tokens", usage.total())
}
