//! Carries what a provider wants back (thinking with its signature, encrypted thinking, a tool call's signature) through
//! dialects that have no place for it. It stands in a tool call's id, behind a tilde, in base64url, because every client
//! sends ids back; a part of an id that does not decode was never ours, and the id stays whole.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::inner::Thinking;
use super::json::{Json, Object};

/// What an id carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    pub thinking: Vec<Thinking>,
    /// The signature of the tool call itself.
    pub signature: Option<String>,
}

impl Carried {
    /// The id with what it carries; the same id where that is nothing. Thinking that nobody signed is not worth it.
    pub fn pack(&self, id: &str) -> String {
        let mut items = details(&self.thinking);
        let signature = self.signature.as_deref();
        items.extend(signature.map(|data| Object::typed("call.signature").with("data", data).into()));
        if items.is_empty() {
            return id.to_owned();
        }
        let text = serde_json::to_vec(&Json::List(items)).expect("texts always serialise");
        format!("{id}~{}", URL_SAFE_NO_PAD.encode(text))
    }

    /// The provider's own id, and what the client's carried.
    pub fn unpack(id: &str) -> (String, Self) {
        let whole = || (id.to_owned(), Self::default());
        let Some((own, text)) = id.rsplit_once('~') else {
            return whole();
        };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else {
            return whole();
        };
        let Ok(items) = serde_json::from_slice::<Vec<Detail>>(&bytes) else {
            return whole();
        };
        let mut carried = Self::default();
        for item in items {
            match item {
                Detail::Signature { data } => carried.signature = Some(data),
                Detail::Text { .. } | Detail::Encrypted { .. } | Detail::Other => {
                    carried.thinking.extend(item.thinking())
                }
            }
        }
        (own.to_owned(), carried)
    }
}

/// Thinking that a provider wants back, as `reasoning_details` of OpenAI's imitators write it.
pub fn details<'a>(thinking: impl IntoIterator<Item = &'a Thinking>) -> Vec<Json<'a>> {
    thinking.into_iter().filter_map(detail).collect()
}

/// Reads one of `reasoning_details`; `None` for a kind that proves nothing, or proves it to another provider only.
pub fn thinking_of(detail: &str) -> Option<Thinking> {
    let origin: Origin = serde_json::from_str(detail).ok()?;
    if origin.format.is_some_and(|format| !format.starts_with("anthropic")) {
        return None;
    }
    serde_json::from_str::<Detail>(detail).ok().and_then(Detail::thinking)
}

fn detail(thinking: &Thinking) -> Option<Json<'_>> {
    match thinking {
        Thinking::Shown { text, signature } => signature.as_ref().map(|signature| {
            let shown = Object::typed("reasoning.text").with("text", text);
            shown.with("signature", signature).into()
        }),
        Thinking::Hidden { data } => Some(Object::typed("reasoning.encrypted").with("data", data).into()),
    }
}

/// Some imitators name the provider whose detail it is; ours name none.
#[derive(Deserialize)]
struct Origin {
    #[serde(default)]
    format: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Detail {
    #[serde(rename = "reasoning.text")]
    Text {
        #[serde(default)]
        text: String,
        #[serde(default)]
        signature: Option<String>,
    },
    #[serde(rename = "reasoning.encrypted")]
    Encrypted { data: String },
    #[serde(rename = "call.signature")]
    Signature { data: String },
    #[serde(other)]
    Other,
}

impl Detail {
    fn thinking(self) -> Option<Thinking> {
        match self {
            Self::Text { text, signature } => Some(Thinking::Shown { text, signature }),
            Self::Encrypted { data } => Some(Thinking::Hidden { data }),
            Self::Signature { .. } | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_brings_back_what_it_carried_and_a_foreign_one_stays_whole() {
        let carried = Carried {
            thinking: vec![
                Thinking::Shown {
                    text: "Hm \"é\"".to_owned(),
                    signature: Some("sig==".to_owned()),
                },
                Thinking::Hidden { data: "enc".to_owned() },
            ],
            signature: Some("call".to_owned()),
        };
        let id = carried.pack("toolu_1~x");
        assert_eq!(Carried::unpack(&id), ("toolu_1~x".to_owned(), carried));
        for foreign in ["call_1", "a~b", "a~", "~", "a~eyJ9", ""] {
            assert_eq!(Carried::unpack(foreign), (foreign.to_owned(), Carried::default()));
        }
    }

    #[test]
    fn unsigned_thinking_is_not_carried() {
        let carried = Carried {
            thinking: vec![Thinking::Shown {
                text: "Hm".to_owned(),
                signature: None,
            }],
            signature: None,
        };
        assert_eq!(carried.pack("call_1"), "call_1");
    }

    #[test]
    fn a_detail_of_another_provider_is_passed_over() {
        let encrypted = |format: &str| format!(r#"{{"type":"reasoning.encrypted","data":"x"{format}}}"#);
        let hidden = Some(Thinking::Hidden { data: "x".to_owned() });
        let table = [
            ("", hidden.clone()),
            (r#","format":null"#, hidden.clone()),
            (r#","format":"anthropic-claude-v1""#, hidden),
            (r#","format":"openai-responses-v1""#, None),
        ];
        for (format, expected) in table {
            assert_eq!(thinking_of(&encrypted(format)), expected, "{format}");
        }
        assert_eq!(thinking_of(r#"{"type":"reasoning.summary","summary":"x"}"#), None);
        assert_eq!(thinking_of("7"), None);
    }
}
