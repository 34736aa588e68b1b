//! How much Claude is to think: a budget of tokens, or, where the model takes no budget any more, an effort. What makes
//! thinking impossible (a forced tool, an answer that is begun, thinking lost from a tool loop) leaves it off with a
//! warning, because the call goes on without it.

use crate::gateway::translate::Warnings;
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{Content, Reasoning, Request, Role, Thinking, ToolChoice, Turn};
use crate::gateway::translate::json::Object;

/// The smallest budget that the API takes (tokens).
const BUDGET_MIN: u64 = 1_024;

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::translate) enum Plan {
    Off,
    Budget(u64),
    Adaptive(Option<&'static str>),
}

impl Plan {
    pub(in crate::gateway::translate) fn thinking(&self) -> Option<Object<'static>> {
        match self {
            Self::Off => None,
            Self::Budget(tokens) => Some(Object::typed("enabled").with("budget_tokens", *tokens)),
            // The text is left out unless it is asked for.
            Self::Adaptive(_) => Some(Object::typed("adaptive").with("display", "summarized")),
        }
    }

    pub(in crate::gateway::translate) fn effort(&self) -> Option<&'static str> {
        match self {
            Self::Off | Self::Budget(_) => None,
            Self::Adaptive(effort) => *effort,
        }
    }
}

/// What is written for what is asked, within the output cap (tokens).
pub(in crate::gateway::translate) fn plan(
    request: &Request,
    model: &str,
    output_cap: u64,
    warnings: &mut Warnings,
) -> Plan {
    let adaptive_only = is_adaptive_only(model);
    let wanted = match &request.reasoning {
        None | Some(Reasoning::Off) => return Plan::Off,
        Some(Reasoning::Effort(word)) if adaptive_only => Plan::Adaptive(Some(anthropic_word(word))),
        Some(Reasoning::Effort(word)) => Plan::Budget(effort::budget_tokens(word)),
        Some(Reasoning::Budget(tokens)) if adaptive_only => Plan::Adaptive(Some(anthropic_word(effort::word(*tokens)))),
        Some(Reasoning::Budget(tokens)) => Plan::Budget((*tokens).max(BUDGET_MIN)),
        Some(Reasoning::Adaptive) if adaptive_only => Plan::Adaptive(None),
        Some(Reasoning::Adaptive) => Plan::Budget(effort::budget_tokens("medium")),
    };
    let plan = match wanted {
        Plan::Budget(tokens) => clamp(request, tokens.min(output_cap.saturating_sub(1))),
        Plan::Off | Plan::Adaptive(_) => wanted,
    };
    if plan == Plan::Off || forces_tool(request) || is_begun(request) {
        warnings.add(request.words.reasoning);
        return Plan::Off;
    }
    plan
}

/// The budget stands inside the output cap, and a tool loop must show the thinking that began it.
fn clamp(request: &Request, tokens: u64) -> Plan {
    if tokens < BUDGET_MIN || has_lost_thinking(&request.turns) {
        Plan::Off
    } else {
        Plan::Budget(tokens)
    }
}

/// Opus 4.7 and everything after it refuse a budget, and any sampling option.
pub(in crate::gateway::translate) fn is_adaptive_only(model: &str) -> bool {
    let Some((_, name)) = model.split_once("claude-") else {
        return false;
    };
    let mut numbers = name
        .split(['-', '.', '@', ':'])
        .skip_while(|word| word.parse::<u64>().is_err())
        .map_while(|word| word.parse::<u64>().ok())
        // A date is not a version.
        .take_while(|number| *number < 1_000);
    match (numbers.next(), numbers.next()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)) >= (4, 7),
        (None, _) => false,
    }
}

/// The API has no `minimal`.
fn anthropic_word(effort: &str) -> &'static str {
    match effort {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "xhigh" => "xhigh",
        _ => "high",
    }
}

fn forces_tool(request: &Request) -> bool {
    match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => true,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    }
}

/// The caller wrote the start of the answer.
fn is_begun(request: &Request) -> bool {
    request.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
}

/// A tool loop runs, and nothing in it shows signed thinking.
fn has_lost_thinking(turns: &[Turn]) -> bool {
    let has_result = |turn: &Turn| {
        turn.parts
            .iter()
            .any(|part| matches!(part.content, Content::ToolResult { .. }))
    };
    let running = turns
        .iter()
        .rev()
        .take_while(|turn| turn.role == Role::Assistant || has_result(turn));
    let mut calls = false;
    for part in running.flat_map(|turn| &turn.parts) {
        match &part.content {
            Content::Thinking(Thinking::Hidden { .. } | Thinking::Shown { signature: Some(_), .. }) => return false,
            Content::ToolCall(_) => calls = true,
            Content::Thinking(Thinking::Shown { signature: None, .. })
            | Content::Text(_)
            | Content::Image(_)
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolResult { .. }
            | Content::Refusal(_) => {}
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::is_adaptive_only;

    #[test]
    fn tells_the_models_that_take_no_budget_by_their_version() {
        let table = [
            ("claude-opus-4-7", true),
            ("claude-opus-4-8-20260901", true),
            ("claude-sonnet-5", true),
            ("anthropic/claude-opus-4.7", true),
            ("claude-opus-4-6", false),
            ("claude-sonnet-4-20250514", false),
            ("claude-3-5-haiku-20241022", false),
            ("claude-opus-4-1@20250805", false),
            ("claude-latest", false),
            ("gpt-5", false),
        ];
        for (model, expected) in table {
            assert_eq!(is_adaptive_only(model), expected, "{model}");
        }
    }
}
