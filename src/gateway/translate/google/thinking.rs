//! How much Gemini is to think: a budget of tokens up to 2.5, a level from 3 on. What a model does not take is left out
//! with a warning, because the call goes on without it.

use super::contents::leave_out;
use super::fields::Fields;
use crate::gateway::translate::Warnings;
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{Reasoning, Request, Untranslatable};
use crate::gateway::translate::json::{Json, Object};

/// The model takes no budget of zero, but this one (tokens).
const PRO_BUDGET_MIN: u64 = 128;
const PRO_BUDGET_MAX: u64 = 32_768;
const LITE_BUDGET_MIN: u64 = 512;
const BUDGET_MAX: u64 = 24_576;

pub(super) fn read_thinking(config: &mut Fields<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut thinking) = config.object("thinkingConfig")? else {
        return Ok(());
    };
    let shown = thinking.flag("includeThoughts")?.unwrap_or(false);
    let budget = thinking.number("thinkingBudget")?;
    let level = thinking.text("thinkingLevel")?.map(|level| level.to_ascii_lowercase());
    let budget = match budget {
        None => None,
        Some(number) if number.as_i64() == Some(-1) => Some(Reasoning::Adaptive),
        Some(number) => match number.as_u64() {
            Some(0) => Some(Reasoning::Off),
            Some(tokens) => Some(Reasoning::Budget(tokens)),
            None => return Err(thinking.refuse("thinkingBudget", "`thinkingBudget` must be -1 or a whole number")),
        },
    };
    let level = match level.as_deref() {
        None | Some("thinking_level_unspecified") => None,
        Some(word) => {
            let unknown = || thinking.refuse("thinkingLevel", format!("the level `{word}` is not known"));
            Some(effort::of_word(word).ok_or_else(unknown)?)
        }
    };
    // Gemini thinks by itself, so whoever wants to see it wants it done.
    request.reasoning = level.or(budget).or(shown.then_some(Reasoning::Adaptive));
    leave_out(&thinking, "generationConfig.thinkingConfig", request);
    Ok(())
}

/// Which of its APIs for thinking a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinks {
    Not,
    /// Gemini 2.5, and names without a version.
    ByBudget,
    /// Gemini 3 and later.
    ByLevel,
}

/// Gemini 3 and later want calls of functions signed.
pub(super) fn wants_signed_calls(model: &str) -> bool {
    version(model).is_some_and(|(major, _)| major >= 3)
}

fn thinks(model: &str) -> Thinks {
    match version(model) {
        Some(version) if version < (2, 5) => Thinks::Not,
        Some((2, _)) => Thinks::ByBudget,
        Some(_) => Thinks::ByLevel,
        None if model.contains("gemini") => Thinks::ByBudget,
        None => Thinks::Not,
    }
}

fn version(model: &str) -> Option<(u64, u64)> {
    let (_, name) = model.split_once("gemini-")?;
    let version = name.split('-').next()?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(super) fn write_thinking(request: &Request, model: &str, warnings: &mut Warnings) -> Option<Object<'static>> {
    let reasoning = request.reasoning.as_ref()?;
    let shown = || Object::new().with("includeThoughts", true);
    match (thinks(model), reasoning) {
        (Thinks::Not, Reasoning::Off) => None,
        (Thinks::Not, Reasoning::Effort(_) | Reasoning::Budget(_) | Reasoning::Adaptive) => {
            warnings.add(request.words.reasoning);
            None
        }
        (Thinks::ByBudget, Reasoning::Off) => {
            let budget = clamp(model, 0);
            if budget > 0 {
                warnings.add(request.words.reasoning);
            }
            Some(Object::new().with("thinkingBudget", budget))
        }
        (Thinks::ByBudget, Reasoning::Adaptive) => Some(shown().with("thinkingBudget", Json::Raw(dynamic()))),
        (Thinks::ByBudget, Reasoning::Budget(tokens)) => Some(shown().with("thinkingBudget", clamp(model, *tokens))),
        (Thinks::ByBudget, Reasoning::Effort(word)) => {
            Some(shown().with("thinkingBudget", clamp(model, effort::budget_tokens(word))))
        }
        (Thinks::ByLevel, Reasoning::Off) => {
            warnings.add(request.words.reasoning);
            Some(Object::new().with("thinkingLevel", level(model, "minimal")))
        }
        (Thinks::ByLevel, Reasoning::Adaptive) => Some(shown()),
        (Thinks::ByLevel, Reasoning::Budget(tokens)) => {
            Some(shown().with("thinkingLevel", level(model, effort::word(*tokens))))
        }
        (Thinks::ByLevel, Reasoning::Effort(word)) => Some(shown().with("thinkingLevel", level(model, word))),
    }
}

/// The budget with which the model decides itself.
fn dynamic() -> &'static serde_json::value::RawValue {
    serde_json::from_str("-1").expect("a number is JSON")
}

fn clamp(model: &str, tokens: u64) -> u64 {
    if model.contains("pro") {
        tokens.clamp(PRO_BUDGET_MIN, PRO_BUDGET_MAX)
    } else if model.contains("lite") && tokens > 0 {
        tokens.clamp(LITE_BUDGET_MIN, BUDGET_MAX)
    } else {
        tokens.min(BUDGET_MAX)
    }
}

/// Gemini 3 Pro knows two levels, later ones three; only Flash has `minimal`.
fn level(model: &str, word: &str) -> &'static str {
    let first_pro = model.contains("gemini-3-pro");
    match word {
        "minimal" if model.contains("flash") => "minimal",
        "minimal" | "low" => "low",
        "medium" if !first_pro => "medium",
        _ => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_is_asked_in_its_own_words() {
        let table = [
            ("gemini-2.0-flash", "high", None),
            (
                "gemini-2.5-flash",
                "minimal",
                Some(r#"{"includeThoughts":true,"thinkingBudget":1024}"#),
            ),
            (
                "models/gemini-2.5-flash-lite",
                "xhigh",
                Some(r#"{"includeThoughts":true,"thinkingBudget":24576}"#),
            ),
            ("gemini-2.5-pro", "none", Some(r#"{"thinkingBudget":128}"#)),
            ("gemini-2.5-flash", "none", Some(r#"{"thinkingBudget":0}"#)),
            (
                "gemini-flash-latest",
                "low",
                Some(r#"{"includeThoughts":true,"thinkingBudget":2048}"#),
            ),
            (
                "gemini-3-pro-preview",
                "medium",
                Some(r#"{"includeThoughts":true,"thinkingLevel":"high"}"#),
            ),
            (
                "gemini-3.1-pro",
                "medium",
                Some(r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#),
            ),
            ("gemini-3-flash", "none", Some(r#"{"thinkingLevel":"minimal"}"#)),
            ("gemma-3-27b-it", "low", None),
        ];
        for (model, word, expected) in table {
            let request = Request {
                reasoning: effort::of_word(word),
                ..Request::default()
            };
            let written = write_thinking(&request, model, &mut Warnings::default());
            let written = written.map(|object| String::from_utf8(object.to_bytes()).unwrap());
            assert_eq!(written.as_deref(), expected, "{model} {word}");
        }
        let adaptive = Request {
            reasoning: Some(Reasoning::Adaptive),
            ..Request::default()
        };
        let written = write_thinking(&adaptive, "gemini-2.5-pro", &mut Warnings::default()).unwrap();
        assert_eq!(written.to_bytes(), br#"{"includeThoughts":true,"thinkingBudget":-1}"#);
    }
}
