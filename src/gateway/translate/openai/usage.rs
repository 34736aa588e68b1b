//! Usage as chat completions tell it: `prompt_tokens` has the caches in it.

use crate::domain::usage::Usage;
use crate::gateway::translate::json::Object;

pub(super) fn write_usage(usage: &Usage) -> Object<'static> {
    let input = Object::new()
        .with("cached_tokens", usage.cache_read_tokens)
        .with("audio_tokens", usage.audio_input_tokens)
        .with(
            "cache_write_tokens",
            usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens),
        );
    let output = Object::new()
        .with("reasoning_tokens", usage.reasoning_tokens)
        .with("audio_tokens", usage.audio_output_tokens);
    Object::new()
        .with("prompt_tokens", usage.total_input())
        .with("completion_tokens", usage.output_tokens)
        .with("total_tokens", usage.total())
        .with("prompt_tokens_details", input)
        .with("completion_tokens_details", output)
}
