//! Who can open what a provider sealed. Encrypted thinking and signatures mean something only to the one that made them,
//! and another provider refuses a call that holds them; so what comes of OpenAI is marked in the inner form, and what is
//! foreign to the provider of a call is forgotten before the call is written. Claude's own needs no mark: Anthropic and
//! Bedrock open each other's.

use super::inner::{Content, Part, Request, Thinking};
use crate::gateway::dialect::Speech;

/// Before encrypted reasoning of OpenAI's.
const OPENAI_MARK: &str = "openai.";

/// Who made a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issuer {
    Claude,
    OpenAi,
}

impl Issuer {
    fn of(sealed: &str) -> Self {
        if sealed.starts_with(OPENAI_MARK) {
            Self::OpenAi
        } else {
            Self::Claude
        }
    }

    /// Whose seals a provider of a dialect opens. Chat completions have no place for any, and Google's own signatures
    /// stand in calls.
    const fn at(provider: Speech) -> Option<Self> {
        match provider {
            Speech::Anthropic | Speech::Bedrock => Some(Self::Claude),
            Speech::Responses => Some(Self::OpenAi),
            Speech::OpenAi | Speech::Google => None,
        }
    }
}

/// OpenAI's encrypted reasoning, for the inner form.
pub fn of_openai(encrypted: &str) -> Thinking {
    Thinking::Hidden {
        data: format!("{OPENAI_MARK}{encrypted}"),
    }
}

/// What OpenAI can open of the inner form's encrypted thinking.
pub fn for_openai(data: &str) -> Option<&str> {
    data.strip_prefix(OPENAI_MARK)
}

/// Leaves out encrypted thinking that the provider cannot open, with a warning; of signed thinking the text stays.
pub fn forget_foreign(request: &mut Request, provider: Speech) {
    let own = Issuer::at(provider);
    let is_foreign = |sealed: &str| Some(Issuer::of(sealed)) != own;
    let mut forgotten = false;
    for turn in &mut request.turns {
        turn.parts.retain_mut(|part: &mut Part| match &mut part.content {
            Content::Thinking(Thinking::Hidden { data }) if is_foreign(data) => {
                forgotten = true;
                false
            }
            Content::Thinking(Thinking::Shown { signature, .. }) => {
                if signature.as_deref().is_some_and(is_foreign) {
                    *signature = None;
                }
                true
            }
            Content::Thinking(Thinking::Hidden { .. })
            | Content::Text(_)
            | Content::Image(_)
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::ToolCall(_)
            | Content::ToolResult { .. }
            | Content::Refusal(_) => true,
        });
    }
    if forgotten {
        request.leave_out("reasoning");
    }
}
