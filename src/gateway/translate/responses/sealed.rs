//! Thinking of other providers in `encrypted_content`, the place where clients keep what they bring back unread. It is
//! packed under a name of ours, so that it is never taken for OpenAI's own.

use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::Thinking;

/// The name under which another provider's thinking is packed.
const PACKED_NAME: &str = "caldera";

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
