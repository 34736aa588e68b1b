//! What one family of models on Bedrock takes beyond Converse's own words, in `additionalModelRequestFields`: thinking,
//! efforts and `top_k`. What a family has no field for is dropped with its name.

use crate::gateway::translate::anthropic::thinking::{Plan, is_adaptive_only, plan};
use crate::gateway::translate::effort;
use crate::gateway::translate::inner::{Reasoning, Request, Untranslatable};
use crate::gateway::translate::json::Object;
use crate::gateway::translate::members::Members;
use crate::gateway::translate::{Warnings, WriteTarget};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    Nova,
    /// The open models of OpenAI.
    OpenAi,
    Other,
}

impl Family {
    /// The family by the model's id, which may be a profile's or an ARN.
    pub(super) fn of(model: &str) -> Self {
        if model.contains("claude") {
            Self::Claude
        } else if model.contains("nova") {
            Self::Nova
        } else if model.contains("openai.") {
            Self::OpenAi
        } else {
            Self::Other
        }
    }
}

/// The fields of one call, and what follows from them.
#[derive(Debug)]
pub(super) struct Additional<'a> {
    pub(super) fields: Object<'a>,
    /// The model samples in its own way.
    pub(super) own_sampling: bool,
    /// A cap that must be told because a budget stands inside it (tokens).
    pub(super) needed_cap: Option<u64>,
}

pub(super) fn write_additional<'a>(
    request: &'a Request,
    target: &WriteTarget<'_>,
    warnings: &mut Warnings,
) -> Additional<'a> {
    let mut additional = Additional {
        fields: Object::new(),
        own_sampling: false,
        needed_cap: None,
    };
    let top_k = request.sampling.top_k.as_ref();
    match Family::of(target.model) {
        Family::Claude => {
            write_claude(request, target, &mut additional, warnings);
            if !additional.own_sampling {
                additional.fields.put_some("top_k", top_k);
                return additional;
            }
        }
        Family::Nova => {
            write_nova(request, &mut additional, warnings);
            let config = top_k.map(|top_k| Object::new().with("topK", top_k));
            additional.fields.put_some("inferenceConfig", config);
            return additional;
        }
        Family::OpenAi => {
            let effort = wanted_effort(request);
            additional.fields.put_some("reasoning_effort", effort.map(three_words));
        }
        Family::Other => {
            if wanted_effort(request).is_some() {
                warnings.add(request.words.reasoning);
            }
        }
    }
    if top_k.is_some() {
        warnings.add("top_k");
    }
    additional
}

fn write_claude(request: &Request, target: &WriteTarget<'_>, additional: &mut Additional<'_>, warnings: &mut Warnings) {
    let output_cap = request.max_output_tokens.unwrap_or(target.default_output_cap);
    let plan = plan(request, target.model, output_cap, warnings);
    additional.own_sampling = plan != Plan::Off || is_adaptive_only(target.model);
    additional.needed_cap = (plan != Plan::Off).then_some(output_cap);
    additional.fields.put_some("thinking", plan.thinking());
    let effort = plan.effort().map(|effort| Object::new().with("effort", effort));
    additional.fields.put_some("output_config", effort);
}

/// Nova thinks from its second generation on.
fn write_nova(request: &Request, additional: &mut Additional<'_>, warnings: &mut Warnings) {
    let Some(effort) = wanted_effort(request) else {
        return;
    };
    // At its highest effort Nova refuses caps and sampling; `medium` is the most that a capped call can have.
    let effort = match three_words(effort) {
        "high" => {
            warnings.add(request.words.reasoning);
            "medium"
        }
        effort => effort,
    };
    let config = Object::typed("enabled").with("maxReasoningEffort", effort);
    additional.fields.put("reasoningConfig", config);
}

fn wanted_effort(request: &Request) -> Option<&str> {
    match request.reasoning.as_ref()? {
        Reasoning::Off => None,
        Reasoning::Effort(word) => Some(word),
        Reasoning::Budget(tokens) => Some(effort::word(*tokens)),
        Reasoning::Adaptive => Some("medium"),
    }
}

fn three_words(effort: &str) -> &'static str {
    match effort {
        "minimal" | "low" => "low",
        "medium" => "medium",
        _ => "high",
    }
}

/// Reads what clients of Converse ask of single families.
pub(super) fn read_additional(members: &mut Members<'_>, request: &mut Request) -> Result<(), Untranslatable> {
    let Some(mut fields) = members.object("additionalModelRequestFields")? else {
        return Ok(());
    };
    request.sampling.top_k = fields.number("top_k")?;
    if let Some(mut config) = fields.object("inferenceConfig")? {
        request.sampling.top_k = config.number("topK")?.or(request.sampling.top_k.take());
    }
    for name in ["thinking", "reasoning_config"] {
        if let Some(mut thinking) = fields.object(name)? {
            request.reasoning = match thinking.text("type")?.as_deref() {
                Some("enabled") => thinking.count("budget_tokens")?.map(Reasoning::Budget),
                Some("adaptive") => Some(Reasoning::Adaptive),
                Some("disabled") => Some(Reasoning::Off),
                Some(_) | None => return Err(thinking.refuse("type", "this kind of thinking is not known")),
            };
        }
    }
    let mut words = vec![(fields.at("reasoning_effort"), fields.text("reasoning_effort")?)];
    for (object, name) in [("output_config", "effort"), ("reasoningConfig", "maxReasoningEffort")] {
        if let Some(mut config) = fields.object(object)? {
            words.push((config.at(name), config.text(name)?));
        }
    }
    for (path, word) in words {
        let Some(word) = word else { continue };
        let unknown = || Untranslatable::new(path, format!("`{word}` is not a known effort"));
        request.reasoning = Some(effort::of_word(&word).ok_or_else(unknown)?);
    }
    for name in fields.names() {
        request.leave_out(format!("additionalModelRequestFields.{name}"));
    }
    Ok(())
}
