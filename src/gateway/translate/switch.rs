//! What a client brings back to a provider of its own dialect after another provider's answers were translated for it:
//! ids that carry something, thinking that was sealed elsewhere. It would be refused there, so it is taken out; a body
//! without any of it passes byte for byte. It fails open: what cannot be read is the provider's to refuse.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::{Map, Value};

use super::carried::Carried;
use super::google::signature::unwrap_hidden;
use super::issuer::for_openai;

/// What a body with such a thing has somewhere: an id that carries a list, encrypted reasoning of OpenAI's in Claude's
/// words, what is wrapped for Google's or Bedrock's clients, thinking that nobody signed, details of reasoning.
static MARKS: LazyLock<[Finder<'static>; 7]> = LazyLock::new(|| {
    [
        "~W3sidHlwZSI6",
        "\"openai.",
        "\"Y2FsZGVyYS",
        "\"signature\":\"\"",
        "\"signature\": \"\"",
        "\"reasoning.text\"",
        "\"reasoning.encrypted\"",
    ]
    .map(Finder::new)
});

/// What is wrapped begins so.
const WRAPPED: &str = "Y2FsZGVyYS";

/// Before what is packed for clients of responses.
const PACKED: &str = "caldera~";

/// Members that hold the id of a call.
const IDS: [&str; 5] = ["id", "call_id", "tool_call_id", "tool_use_id", "toolUseId"];

/// Members that the model or a tool wrote.
const UNTOUCHED: [&str; 6] = ["input_schema", "parameters", "args", "arguments", "response", "json"];

/// The body without what came of other providers; `None` where there is nothing of it.
pub fn without_foreign(body: &Bytes) -> Option<Bytes> {
    if !MARKS.iter().any(|mark| mark.find(body).is_some()) {
        return None;
    }
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let mut changed = false;
    clean(&mut value, &mut changed);
    changed.then(|| value.to_string().into())
}

fn clean(value: &mut Value, changed: &mut bool) {
    match value {
        Value::Array(list) => {
            let before = list.len();
            list.retain(|element| !element.as_object().is_some_and(is_foreign));
            *changed |= list.len() != before;
            for element in list {
                clean(element, changed);
            }
        }
        Value::Object(members) => {
            unwrap(members, changed);
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(id) if IDS.contains(&name.as_str()) => own_id(id, changed),
                    Value::Array(_) | Value::Object(_) if !UNTOUCHED.contains(&name.as_str()) => clean(member, changed),
                    _ => {}
                }
            }
            if members
                .get("reasoning_details")
                .is_some_and(|details| *details == Value::Array(Vec::new()))
            {
                members.remove("reasoning_details");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A block or item that its own provider cannot open.
fn is_foreign(block: &Map<String, Value>) -> bool {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    match text("type") {
        Some("redacted_thinking") => text("data").is_some_and(|data| for_openai(data).is_some()),
        // Hosts that give details of their own name their format.
        Some("reasoning.text" | "reasoning.encrypted") => !block.contains_key("format"),
        Some("thinking") => text("signature") == Some(""),
        Some("reasoning") => text("encrypted_content").is_some_and(|sealed| sealed.starts_with(PACKED)),
        Some(_) => false,
        None => {
            let hidden = block
                .get("reasoningContent")
                .and_then(|content| content["redactedContent"].as_str());
            let is_sealed_elsewhere = |data: String| for_openai(&data).is_some();
            let thought = text("thoughtSignature").is_some_and(|signature| signature.starts_with(WRAPPED));
            hidden.and_then(unwrap_hidden).is_some_and(is_sealed_elsewhere) || (thought && text("text") == Some(""))
        }
    }
}

/// Takes off what was wrapped around what this provider opens, and what it never gave.
fn unwrap(members: &mut Map<String, Value>, changed: &mut bool) {
    if let Some(Value::String(data)) = members.get_mut("redactedContent")
        && let Some(own) = unwrap_hidden(data)
    {
        *data = own;
        *changed = true;
    }
    let signature = members.get("thoughtSignature").and_then(Value::as_str);
    if signature.is_some_and(|signature| signature.starts_with(WRAPPED)) {
        members.remove("thoughtSignature");
        *changed = true;
    }
}

fn own_id(id: &mut String, changed: &mut bool) {
    let (own, carried) = Carried::unpack(id);
    if carried != Carried::default() {
        *id = own;
        *changed = true;
    }
}
