//! How each call is made from a shell.

use utoipa::openapi::{HttpMethod, Object, RefOr, Schema};

use super::fields::plain;
use super::method_name;
use crate::http::openapi::call::{Access, Body};
use crate::http::openapi::part::Route;
use crate::http::openapi::schema::{Field, Presence};

/// A JSON body that is longer stands on lines of its own.
const LONGEST_LINE: usize = 60;

/// The call with the parameters that it must have.
pub fn example(route: &Route, path: &str) -> String {
    let call = &route.call;
    let mut address = path.to_owned();
    for part in &call.path {
        address = address.replace(&format!("{{{}}}", part.name), &sample(part));
    }
    let needed = call.query.iter().filter(|field| field.presence == Presence::Required);
    let pairs: Vec<String> = needed
        .map(|field| format!("{}={}", field.name, sample(field)))
        .collect();
    if !pairs.is_empty() {
        address = format!("{address}?{}", pairs.join("&"));
    }
    let mut lines = vec![format!("curl \"$BASE_URL{address}\"")];
    let body = call.bodies.first().map(data).unwrap_or_default();
    let usual = if body.is_empty() {
        HttpMethod::Get
    } else {
        HttpMethod::Post
    };
    if route.method != usual {
        lines[0] = format!("curl -X {} \"$BASE_URL{address}\"", method_name(&route.method));
    }
    lines.extend(credential(call.access).map(|key| format!("-H \"Authorization: Bearer {key}\"")));
    lines.extend(body);
    lines.join(" \\\n  ")
}

fn data(body: &Body) -> Vec<String> {
    match (&body.example, &body.shape) {
        (Some(example), _) => {
            let line = example.to_string();
            let written = if line.len() > LONGEST_LINE {
                let pretty = serde_json::to_string_pretty(example).unwrap_or(line);
                pretty.replace('\n', "\n  ")
            } else {
                line
            };
            vec![
                "-H \"Content-Type: application/json\"".to_owned(),
                format!("-d '{written}'"),
            ]
        }
        (None, RefOr::T(Schema::Object(object))) if body.media_type == "multipart/form-data" => form(object),
        (None, _) => Vec::new(),
    }
}

/// The fields that a form must have.
fn form(object: &Object) -> Vec<String> {
    let field = |name: &String| match name.as_str() {
        "file" => "-F file=@speech.mp3".to_owned(),
        "image" => "-F image=@hill.png".to_owned(),
        "prompt" => "-F prompt=\"Make it snow\"".to_owned(),
        "model" if object.properties.contains_key("image") => "-F model=gpt-image-1".to_owned(),
        "model" => "-F model=whisper-1".to_owned(),
        other => format!("-F {other}=..."),
    };
    object.required.iter().map(field).collect()
}

const fn credential(access: Access) -> Option<&'static str> {
    match access {
        Access::Anyone | Access::Anybody | Access::Session => None,
        Access::Secret | Access::Manager => Some("$SECRET_KEY"),
        Access::Gateway => Some("$SPEND_KEY"),
    }
}

fn sample(field: &Field) -> String {
    if let RefOr::T(Schema::Object(object)) = &field.shape {
        let first = object.enum_values.as_ref().and_then(|words| words.first());
        if let Some(value) = object.examples.first().or(first) {
            return plain(value);
        }
    }
    format!("{{{}}}", field.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_sample_is_the_example_or_the_first_word() {
        use crate::http::openapi::schema::{id, text, word};
        assert!(sample(&id("id", "spk", "")).starts_with("spk_"));
        assert_eq!(sample(&word("alt", &["sse"], "")), "sse");
        assert_eq!(sample(&text("secret", "")), "{secret}");
        assert_eq!(plain(&Value::from(7)), "7");
    }
}
