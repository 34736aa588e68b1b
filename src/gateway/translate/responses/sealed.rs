//! Thinking in `encrypted_content`, the place where clients keep what they bring back unread. OpenAI's own passes
//! through other dialects behind a mark, so that it never goes to a provider that cannot open it, nor another's to
//! OpenAI.

use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::Thinking;

/// Before encrypted reasoning of OpenAI's in the inner form.
const OPENAI_MARK: &str = "openai.";

/// The name under which another provider's thinking is packed.
const PACKED_NAME: &str = "caldera";

/// OpenAI's encrypted reasoning, for the inner form.
pub(super) fn of_openai(encrypted: &str) -> Thinking {
    Thinking::Hidden {
        data: format!("{OPENAI_MARK}{encrypted}"),
    }
}

/// What OpenAI can open of the inner form's encrypted thinking.
pub(super) fn for_openai(data: &str) -> Option<&str> {
    data.strip_prefix(OPENAI_MARK)
}

/// A provider's thinking for the client to keep; `None` for thinking that nobody signed.
pub(super) fn pack(thinking: Thinking) -> Option<String> {
    let carried = Carried {
        thinking: vec![thinking],
        signature: None,
    };
    let packed = carried.pack(PACKED_NAME);
    (packed != PACKED_NAME).then_some(packed)
}

/// What the client kept; `None` for what was not packed here.
pub(super) fn unpack(encrypted: &str) -> Option<Vec<Thinking>> {
    let (name, carried) = Carried::unpack(encrypted);
    (name == PACKED_NAME && !carried.thinking.is_empty()).then_some(carried.thinking)
}
