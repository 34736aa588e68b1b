//! Turns Google's schemas (a dialect of OpenAPI's) into JSON schemas: types in small letters, `nullable` as a type of
//! its own, and nothing that only Google reads. Members keep their order, because models follow it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::gateway::dialect::Text;
use crate::gateway::translate::inner::Untranslatable;

/// Deeper schemas are refused (levels).
const DEPTH_MAX: usize = 64;

/// Members that say nothing to others.
const LEFT_OUT: [&str; 3] = ["propertyOrdering", "example", "nullable"];

/// Formats that only tell the width of a number, or that there is an `enum`.
const FORMATS_LEFT_OUT: [&str; 5] = ["\"int32\"", "\"int64\"", "\"float\"", "\"double\"", "\"enum\""];

/// The JSON schema that says what a schema of Google's says.
pub(super) fn json_schema(raw: &RawValue, path: &str) -> Result<Box<RawValue>, Untranslatable> {
    let mut out = String::with_capacity(raw.get().len());
    let written = write_schema(raw.get(), DEPTH_MAX, &mut out);
    let schema = written.and_then(|()| RawValue::from_string(out).ok());
    schema.ok_or_else(|| Untranslatable::new(path, format!("`{path}` is not a schema that can be read")))
}

fn write_schema(raw: &str, depth: usize, out: &mut String) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let Entries(entries) = serde_json::from_str(raw).ok()?;
    let nullable = entries
        .iter()
        .any(|(name, value)| name.0 == "nullable" && value.get() == "true");
    let mut separator = '{';
    for (name, value) in &entries {
        let name = camel(&name.0);
        if !is_kept(&name, value.get()) {
            continue;
        }
        out.push(std::mem::replace(&mut separator, ','));
        push_name(&name, out);
        write_member(&name, value.get(), Level { depth, nullable }, out)?;
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    Some(())
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Level {
    depth: usize,
    nullable: bool,
}

fn is_kept(name: &str, value: &str) -> bool {
    let foreign = LEFT_OUT.contains(&name)
        || (name == "format" && FORMATS_LEFT_OUT.contains(&value))
        || (name == "type" && value == "\"TYPE_UNSPECIFIED\"");
    !foreign
}

fn write_member(name: &str, value: &str, level: Level, out: &mut String) -> Option<()> {
    match name {
        "type" => write_type(value, level, out),
        "properties" | "$defs" | "defs" => write_map(value, level.depth, out)?,
        "items" | "additionalProperties" if value.starts_with('{') => write_schema(value, level.depth, out)?,
        "anyOf" | "prefixItems" => write_list(value, level.depth, out)?,
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
            // Numbers of 64 bits are written as strings.
            let digits = value.trim_matches('"');
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            out.push_str(if plain { digits } else { value });
        }
        _ => out.push_str(value),
    }
    Some(())
}

fn write_type(value: &str, level: Level, out: &mut String) {
    let value = value.to_ascii_lowercase();
    if level.nullable && value.starts_with('"') {
        out.push_str(&format!("[{value},\"null\"]"));
    } else {
        out.push_str(&value);
    }
}

fn write_map(raw: &str, depth: usize, out: &mut String) -> Option<()> {
    let Entries(entries) = serde_json::from_str(raw).ok()?;
    out.push('{');
    for (index, (name, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_name(&name.0, out);
        write_schema(value.get(), depth, out)?;
    }
    out.push('}');
    Some(())
}

fn write_list(raw: &str, depth: usize, out: &mut String) -> Option<()> {
    let list: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    out.push('[');
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_schema(value.get(), depth, out)?;
    }
    out.push(']');
    Some(())
}

fn push_name(name: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(name).to_string());
    out.push(':');
}

/// The API takes names in snake case as well.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

struct Entries<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a schema")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(schema).unwrap();
        json_schema(raw, "p").ok().map(|schema| schema.get().to_owned())
    }

    #[test]
    fn a_schema_of_googles_becomes_a_json_schema_in_the_same_order() {
        let schema = r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},
            "any_of":{"anyOf":[{"type":"INTEGER","format":"int64"},{"type":"ARRAY","items":{"type":"NUMBER"},"min_items":"2"}]}},
            "required":["type"],"propertyOrdering":["type"]}"#;
        let expected = r#"{"type":"object","properties":{"type":{"type":["string","null"]},"any_of":{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"number"},"minItems":2}]}},"required":["type"]}"#;
        assert_eq!(converted(schema).unwrap(), expected);
        assert_eq!(converted(r#"{"type":"TYPE_UNSPECIFIED"}"#).unwrap(), "{}");
    }

    #[test]
    fn what_is_no_schema_or_too_deep_is_refused() {
        assert_eq!(converted("[]"), None);
        assert_eq!(converted(r#"{"properties":7}"#), None);
        let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(5_000), "}".repeat(5_000));
        assert_eq!(converted(&deep), None);
    }
}
