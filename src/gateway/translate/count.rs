//! Counts of tokens in the words of Anthropic's and Google's clients. A call to count is the call that it asks about, so
//! it is translated as that and then put into the counter's form; the other dialects have no counter.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Pair, Translated, Untranslatable, WriteTarget};
use crate::gateway::dialect::Speech;

/// The members of a message that Anthropic's counter takes; it refuses all others.
const COUNTED: [&str; 6] = ["model", "messages", "system", "tools", "tool_choice", "thinking"];

/// A call to count in the provider's dialect.
pub fn request(pair: Pair, body: &[u8], target: &WriteTarget<'_>) -> Result<Translated, Untranslatable> {
    let body = match pair.client {
        Speech::Google => unwrapped(body),
        Speech::OpenAi | Speech::Anthropic | Speech::Bedrock | Speech::Responses => body,
    };
    let translated = super::request(pair, body, target)?;
    let body = match pair.provider {
        Speech::Google => wrapped(&translated.body, target.model),
        Speech::Anthropic => pruned(&translated.body),
        Speech::OpenAi | Speech::Bedrock | Speech::Responses => translated.body,
    };
    Ok(Translated { body, ..translated })
}

/// A counter's answer in the client's words; `None` for one that cannot be read.
pub fn answer(client: Speech, body: &[u8]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(alias = "input_tokens", alias = "totalTokens")]
        tokens: u64,
    }
    let counted: Counted = serde_json::from_slice(body).ok()?;
    Some(written(client, counted.tokens))
}

/// A count as the client reads it.
pub fn written(client: Speech, tokens: u64) -> Bytes {
    let body = match client {
        Speech::Google => json!({ "totalTokens": tokens }),
        Speech::OpenAi | Speech::Anthropic | Speech::Bedrock | Speech::Responses => json!({ "input_tokens": tokens }),
    };
    body.to_string().into()
}

/// Google's clients may send the whole call inside.
fn unwrapped(body: &[u8]) -> &[u8] {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Counting<'a> {
        #[serde(borrow, default, alias = "generate_content_request")]
        generate_content_request: Option<&'a RawValue>,
    }
    let counting = serde_json::from_slice::<Counting<'_>>(body).ok();
    let inside = counting.and_then(|counting| counting.generate_content_request);
    inside.map_or(body, |inside| inside.get().as_bytes())
}

/// Only a whole call may have instructions and tools.
fn wrapped(call: &[u8], model: &str) -> Bytes {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(call).unwrap_or_default();
    let mut whole = BTreeMap::new();
    let name = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let name = json!(name).to_string();
    for (member, value) in &members {
        whole.insert(member.as_str(), value.get());
    }
    whole.insert("model", &name);
    let members: Vec<String> = whole
        .iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{\"generateContentRequest\":{{{}}}}}", members.join(",")).into()
}

fn pruned(call: &Bytes) -> Bytes {
    let Ok(mut members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(call) else {
        return call.clone();
    };
    members.retain(|name, _| COUNTED.contains(&name.as_str()));
    serde_json::to_vec(&members).map_or_else(|_| call.clone(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::gateway::translate::trial::target;

    fn counted(pair: Pair, body: &Value) -> Value {
        let body = request(pair, body.to_string().as_bytes(), &target("m-1")).unwrap().body;
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_call_to_count_becomes_one_of_the_other_counter() {
        let to_google = Pair {
            client: Speech::Anthropic,
            provider: Speech::Google,
        };
        let asked = json!({"model": "m-1", "system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]});
        let inside = &counted(to_google, &asked)["generateContentRequest"];
        assert_eq!(inside["model"], "models/m-1");
        assert_eq!(inside["contents"][0]["parts"][0]["text"], "Hi");
        assert_eq!(inside["systemInstruction"]["parts"][0]["text"], "Be brief.");
        let to_anthropic = Pair {
            client: Speech::Google,
            provider: Speech::Anthropic,
        };
        let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
        let whole = json!({"generateContentRequest": {"model": "models/m-1", "contents": contents["contents"],
            "generationConfig": {"maxOutputTokens": 9}}});
        for asked in [contents, whole] {
            let out = counted(to_anthropic, &asked);
            assert_eq!(out["messages"][0]["content"][0]["text"], "Hi");
            let names: Vec<&String> = out.as_object().unwrap().keys().collect();
            assert_eq!(names, ["messages", "model"], "{out}");
        }
    }

    #[test]
    fn a_count_is_told_in_the_clients_word() {
        let table = [
            (
                Speech::Anthropic,
                r#"{"totalTokens":7,"promptTokensDetails":[]}"#,
                Some(r#"{"input_tokens":7}"#),
            ),
            (Speech::Google, r#"{"input_tokens":7}"#, Some(r#"{"totalTokens":7}"#)),
            (Speech::Anthropic, r#"{"totalTokens":-1}"#, None),
            (Speech::Anthropic, "{}", None),
        ];
        for (client, body, expected) in table {
            let told = answer(client, body.as_bytes());
            assert_eq!(told.as_deref(), expected.map(str::as_bytes), "{body}");
        }
    }
}
