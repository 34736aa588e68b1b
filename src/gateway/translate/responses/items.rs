//! The items of an answer as clients get them, whole or empty at their start in a stream.

use super::sealed::pack;
use crate::gateway::translate::carried::Carried;
use crate::gateway::translate::inner::Thinking;
use crate::gateway::translate::json::{Json, Object};

/// How far an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Begun,
    Done,
}

impl Progress {
    const fn word(self) -> &'static str {
        match self {
            Self::Begun => "in_progress",
            Self::Done => "completed",
        }
    }
}

pub(super) fn text_part(text: &str) -> Object<'_> {
    Object::typed("output_text")
        .with("text", text)
        .with("annotations", Vec::new())
        .with("logprobs", Vec::new())
}

pub(super) fn refusal_part(text: &str) -> Object<'_> {
    Object::typed("refusal").with("refusal", text)
}

pub(super) fn message<'a>(id: &'a str, content: Option<Object<'a>>, progress: Progress) -> Object<'a> {
    let content: Vec<Json<'a>> = content.into_iter().map(Json::from).collect();
    Object::typed("message")
        .with("id", id)
        .with("status", progress.word())
        .with("role", "assistant")
        .with("content", content)
}

/// A call; its signature stands in the id that the client brings back.
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
    pub(super) signature: Option<&'a String>,
}

pub(super) fn function_call<'a>(item_id: &'a str, call: &Call<'a>, progress: Progress) -> Object<'a> {
    let carried = Carried {
        thinking: Vec::new(),
        signature: call.signature.cloned(),
    };
    Object::typed("function_call")
        .with("id", item_id)
        .with("status", progress.word())
        .with("call_id", carried.pack(call.id))
        .with("name", call.name)
        .with("arguments", call.arguments)
}

/// Thinking: its text as a summary, and all that proves it as encrypted content.
pub(super) fn reasoning<'a>(item_id: &'a str, thinking: &'a Thinking) -> Object<'a> {
    let summary: Vec<Json<'a>> = match thinking {
        Thinking::Shown { text, .. } if !text.is_empty() => vec![summary_part(text).into()],
        Thinking::Shown { .. } | Thinking::Hidden { .. } => Vec::new(),
    };
    let mut item = Object::typed("reasoning").with("id", item_id).with("summary", summary);
    item.put_some("encrypted_content", pack(thinking.clone()));
    item
}

pub(super) fn summary_part(text: &str) -> Object<'_> {
    Object::typed("summary_text").with("text", text)
}

/// The id of the answer: clients know it by its beginning.
pub(super) fn response_id(id: &str) -> String {
    if id.starts_with("resp_") {
        id.to_owned()
    } else {
        format!("resp_{id}")
    }
}
