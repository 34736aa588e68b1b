//! Changes the few bytes of a body that must change and leaves every other byte as the client sent it. It edits by the
//! places that `inspect` found, so it only takes the body that the shape was read from.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::OutputCapField;
use super::call::{BodyError, CallShape};

/// What to change in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Ask for the usage chunk of a stream (OpenAI's dialect).
    pub include_usage: bool,
    /// Set the output cap in this field.
    pub output_cap: Option<(OutputCapField, u64)>,
    /// Name another model.
    pub model: Option<&'a str>,
}

/// The body of a call in any format with another model.
pub fn with_model(body: &Bytes, model: &str) -> Result<Bytes, BodyError> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: &'a RawValue,
    }
    let named: Named<'_> = serde_json::from_slice(body).map_err(|error| BodyError {
        param: Some("model".to_owned()),
        message: format!("the body names no model that another could stand for: {error}"),
    })?;
    let raw = named.model.get();
    let start = raw.as_ptr() as usize - body.as_ptr() as usize;
    let edit = Edit {
        place: start..start + raw.len(),
        text: serde_json::Value::from(model).to_string(),
    };
    Ok(apply(body, vec![edit]))
}

struct Edit {
    place: Range<usize>,
    text: String,
}

/// The body with the changes made; the same bytes, not copied, when nothing changes.
pub fn rewrite(body: &Bytes, shape: &CallShape, changes: Changes<'_>) -> Bytes {
    let mut edits = Vec::new();
    // A call without a body in memory has its model changed where it is.
    if let Some(model) = changes.model.filter(|model| *model != shape.model && !body.is_empty()) {
        edits.push(Edit {
            place: shape.spans.model.clone(),
            text: serde_json::Value::from(model).to_string(),
        });
    }
    if let Some((field, cap)) = changes.output_cap {
        edits.push(output_cap(body, shape, field, cap));
    }
    if changes.include_usage && !shape.include_usage {
        edits.push(include_usage(body, shape));
    }
    if edits.is_empty() {
        body.clone()
    } else {
        apply(body, edits)
    }
}

fn output_cap(body: &[u8], shape: &CallShape, field: OutputCapField, cap: u64) -> Edit {
    let spans = &shape.spans;
    let place = match field {
        OutputCapField::MaxCompletionTokens => &spans.max_completion_tokens,
        OutputCapField::MaxTokens
        | OutputCapField::MaxOutputTokens
        | OutputCapField::GenerationConfig
        | OutputCapField::InferenceConfig => &spans.max_tokens,
    };
    if let Some(place) = place {
        return Edit {
            place: place.clone(),
            text: cap.to_string(),
        };
    }
    let member = format!("\"{}\":{cap}", field.name());
    match (field.home(), &spans.cap_home) {
        (None, _) => insert(spans.start, format!("{member},")),
        (Some(home), None) => insert(spans.start, format!("\"{home}\":{{{member}}},")),
        (Some(_), Some(place)) => into_object(body, place, &member),
    }
}

/// Puts a member into an object that may be empty or null.
fn into_object(body: &[u8], place: &Range<usize>, member: &str) -> Edit {
    let object = &body[place.clone()];
    let empty = object.iter().filter(|byte| !byte.is_ascii_whitespace()).count() <= 2;
    if empty || object == b"null" {
        Edit {
            place: place.clone(),
            text: format!("{{{member}}}"),
        }
    } else {
        insert(place.start + 1, format!("{member},"))
    }
}

fn include_usage(body: &[u8], shape: &CallShape) -> Edit {
    let spans = &shape.spans;
    if let Some(place) = &spans.include_usage {
        return Edit {
            place: place.clone(),
            text: "true".to_owned(),
        };
    }
    let Some(place) = &spans.stream_options else {
        return insert(spans.start, r#""stream_options":{"include_usage":true},"#.to_owned());
    };
    into_object(body, place, r#""include_usage":true"#)
}

fn insert(at: usize, text: String) -> Edit {
    Edit { place: at..at, text }
}

fn apply(body: &[u8], mut edits: Vec<Edit>) -> Bytes {
    edits.sort_by_key(|edit| edit.place.start);
    let added: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut changed = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for edit in &edits {
        changed.extend_from_slice(&body[done..edit.place.start]);
        changed.extend_from_slice(edit.text.as_bytes());
        done = edit.place.end;
    }
    changed.extend_from_slice(&body[done..]);
    changed.into()
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, inspect};
    use super::*;

    fn rewritten(body: &str, changes: Changes<'_>) -> String {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let shape = inspect(Dialect::OpenAi, &bytes, None).unwrap();
        String::from_utf8(rewrite(&bytes, &shape, changes).to_vec()).unwrap()
    }

    #[test]
    fn changes_only_what_must_change() {
        let usage = Changes {
            include_usage: true,
            ..Changes::default()
        };
        let cap = Changes {
            output_cap: Some((OutputCapField::MaxTokens, 7)),
            ..Changes::default()
        };
        let model = Changes {
            model: Some("new\"model"),
            ..Changes::default()
        };
        let all = Changes {
            include_usage: true,
            output_cap: cap.output_cap,
            model: Some("b"),
        };
        let table = [
            (
                r#"{ "model": "m" , "x":1.0 }"#,
                usage,
                r#"{"stream_options":{"include_usage":true}, "model": "m" , "x":1.0 }"#,
            ),
            (
                r#"{"model":"m","stream_options":null}"#,
                usage,
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"m","stream_options":{ }}"#,
                usage,
                r#"{"model":"m","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"m","stream_options":{"a":1}}"#,
                usage,
                r#"{"model":"m","stream_options":{"include_usage":true,"a":1}}"#,
            ),
            (
                r#"{"model":"m","stream_options":{"include_usage": false}}"#,
                usage,
                r#"{"model":"m","stream_options":{"include_usage": true}}"#,
            ),
            (r#"{"model":"m"}"#, cap, r#"{"max_tokens":7,"model":"m"}"#),
            (
                r#"{"model":"m","max_tokens":null}"#,
                cap,
                r#"{"model":"m","max_tokens":7}"#,
            ),
            (
                r#"{"max_tokens": 99,"model":"m"}"#,
                cap,
                r#"{"max_tokens": 7,"model":"m"}"#,
            ),
            (r#"{"model":"m"}"#, model, r#"{"model":"new\"model"}"#),
            (
                r#"{"model":"a","max_tokens":9,"y":"é"}"#,
                all,
                r#"{"stream_options":{"include_usage":true},"model":"b","max_tokens":7,"y":"é"}"#,
            ),
        ];
        for (body, changes, expected) in table {
            assert_eq!(rewritten(body, changes), expected);
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
    }

    #[test]
    fn another_model_stands_where_the_first_stood_and_all_else_stays() {
        let table = [
            (
                r#"{ "input":[1.0], "model" : "a" ,"x":"é"}"#,
                Some(r#"{ "input":[1.0], "model" : "b\"" ,"x":"é"}"#),
            ),
            (r#"{"model":null}"#, Some(r#"{"model":"b\""}"#)),
            (r#"{"x":{"model":"a"}}"#, None),
            (r#"{"model":"a","model":"a"}"#, None),
            ("[]", None),
            ("", None),
        ];
        for (body, expected) in table {
            let body = Bytes::from_static(body.as_bytes());
            let named = with_model(&body, "b\"").ok();
            assert_eq!(named.as_deref(), expected.map(str::as_bytes), "{body:?}");
        }
    }

    #[test]
    fn an_unchanged_body_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"m","stream_options":{"include_usage":true}}"#);
        let shape = inspect(Dialect::OpenAi, &body, None).unwrap();
        let same = Changes {
            include_usage: true,
            output_cap: None,
            model: Some("m"),
        };
        assert_eq!(rewrite(&body, &shape, same).as_ptr(), body.as_ptr());
    }
}
