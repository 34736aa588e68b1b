//! Fields as the page lists them: an object within an object is listed behind it, a step further in.

use serde_json::Value;
use utoipa::Number;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType};
use utoipa::openapi::{Array, KnownFormat, Object, RefOr, Schema, SchemaFormat, Type};

use super::is_older;
use crate::http::openapi::schema::{Field, Presence, Shape};

/// How deep objects are listed.
const DEEPEST: usize = 4;

/// A piece of a sentence.
pub struct Piece {
    pub text: String,
    pub is_code: bool,
}

/// One field.
pub struct Row {
    pub name: String,
    pub depth: usize,
    /// What it is, such as `string` or `list of objects`.
    pub kind: String,
    /// `required` in bodies, `optional` in answers.
    pub mark: &'static str,
    pub is_older: bool,
    pub says: Vec<Piece>,
    /// The words that it may be.
    pub words: Vec<String>,
    /// Bounds, what it usually is, and an example.
    pub notes: Vec<Vec<Piece>>,
    /// The name and the place of the thing that it is.
    pub thing: Option<(String, String)>,
}

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Body,
    Answer,
}

/// Where a thing is described.
pub fn anchor_of(thing: &str) -> String {
    format!("the-{thing}")
}

/// A text, taken apart at its backticks.
pub fn pieces(text: &str) -> Vec<Piece> {
    let pieces = text.split('`').enumerate().map(|(place, text)| Piece {
        text: text.to_owned(),
        is_code: place % 2 == 1,
    });
    pieces.filter(|piece| !piece.text.is_empty()).collect()
}

/// The fields of an object, and of those within it.
pub fn rows_of(object: &Object, side: Side) -> Vec<Row> {
    let mut rows = Vec::new();
    add_rows(object, side, 0, &mut rows);
    rows
}

/// A parameter.
pub fn row_of(field: &Field) -> Vec<Row> {
    let mark = match field.presence {
        Presence::Required => "required",
        Presence::Usual | Presence::Optional => "",
    };
    let mut row = row(field.name, &field.shape, mark);
    row.notes.extend(example_of(&field.shape));
    vec![row]
}

fn add_rows(object: &Object, side: Side, depth: usize, rows: &mut Vec<Row>) {
    for (name, shape) in &object.properties {
        let mark = match (side, object.required.contains(name)) {
            (Side::Body, true) => "required",
            (Side::Answer, false) => "optional",
            (Side::Body, false) | (Side::Answer, true) => "",
        };
        let mut row = Row {
            depth,
            ..row(name, shape, mark)
        };
        // Examples are for those who have something to say.
        row.notes.extend(example_of(shape).filter(|_| side == Side::Body));
        rows.push(row);
        if let Some(inner) = inner(shape).filter(|_| depth < DEEPEST) {
            add_rows(inner, side, depth + 1, rows);
        }
    }
}

/// The object that a field is, or that the entries of its list are.
fn inner(shape: &Shape) -> Option<&Object> {
    match shape {
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => Some(object),
        RefOr::T(Schema::Array(list)) => match &list.items {
            ArrayItems::RefOrSchema(items) => inner(items),
            ArrayItems::False => None,
        },
        _ => None,
    }
}

fn row(name: &str, shape: &Shape, mark: &'static str) -> Row {
    let mut row = Row {
        name: name.to_owned(),
        depth: 0,
        kind: kind_of(shape),
        mark,
        is_older: false,
        says: Vec::new(),
        words: Vec::new(),
        notes: Vec::new(),
        thing: thing_of(shape),
    };
    match shape {
        RefOr::Ref(reference) => row.says = pieces(&reference.description),
        RefOr::T(Schema::Object(object)) => {
            row.says = pieces(object.description.as_deref().unwrap_or_default());
            row.is_older = is_older(object.deprecated.as_ref());
            row.words = words_of(object);
            row.notes = notes_of(object);
        }
        RefOr::T(Schema::Array(list)) => {
            row.says = pieces(list.description.as_deref().unwrap_or_default());
            row.is_older = is_older(list.deprecated.as_ref());
            row.words = match &list.items {
                ArrayItems::RefOrSchema(items) => match &**items {
                    RefOr::T(Schema::Object(object)) => words_of(object),
                    _ => Vec::new(),
                },
                ArrayItems::False => Vec::new(),
            };
            row.notes.extend(entries(list));
        }
        RefOr::T(Schema::OneOf(either)) => row.says = pieces(either.description.as_deref().unwrap_or_default()),
        RefOr::T(_) => {}
    }
    row
}

fn kind_of(shape: &Shape) -> String {
    match shape {
        RefOr::Ref(_) => String::new(),
        RefOr::T(Schema::Object(object)) => object_kind(object),
        RefOr::T(Schema::Array(list)) => {
            let of = match &list.items {
                ArrayItems::RefOrSchema(items) => kind_of(items),
                ArrayItems::False => String::new(),
            };
            let of = if of.is_empty() {
                String::new()
            } else {
                format!(" of {of}s")
            };
            let null = if may_be_null(&list.schema_type) { " or null" } else { "" };
            format!("list{of}{null}")
        }
        RefOr::T(Schema::OneOf(_)) => "or null".to_owned(),
        RefOr::T(_) => "any".to_owned(),
    }
}

fn object_kind(object: &Object) -> String {
    let is_instant = object.format == Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
    let kinds: Vec<&str> = match &object.schema_type {
        SchemaType::Type(kind) => vec![kind_name(kind)],
        SchemaType::Array(kinds) => kinds.iter().map(kind_name).collect(),
        SchemaType::AnyValue => vec!["any"],
    };
    let kinds = kinds.join(" or ");
    if is_instant {
        kinds.replace("string", "instant")
    } else {
        kinds
    }
}

const fn kind_name(kind: &Type) -> &'static str {
    match kind {
        Type::Object => "object",
        Type::String => "string",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::Array => "list",
        Type::Null => "null",
    }
}

fn may_be_null(kind: &SchemaType) -> bool {
    match kind {
        SchemaType::Array(kinds) => kinds.contains(&Type::Null),
        SchemaType::Type(_) | SchemaType::AnyValue => false,
    }
}

fn thing_of(shape: &Shape) -> Option<(String, String)> {
    let reference = match shape {
        RefOr::Ref(reference) => reference,
        RefOr::T(Schema::Array(list)) => match &list.items {
            ArrayItems::RefOrSchema(items) => return thing_of(items),
            ArrayItems::False => return None,
        },
        RefOr::T(Schema::OneOf(either)) => return either.items.iter().find_map(thing_of),
        RefOr::T(_) => return None,
    };
    let name = reference.ref_location.rsplit('/').next()?;
    Some((name.to_owned(), anchor_of(name)))
}

fn words_of(object: &Object) -> Vec<String> {
    let words = object.enum_values.iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn notes_of(object: &Object) -> Vec<Vec<Piece>> {
    let mut notes = Vec::new();
    if let (Some(least), Some(most)) = (&object.minimum, &object.maximum) {
        notes.push(format!("From {} to {}.", number(least), number(most)));
    }
    if let Some(most) = object.max_length {
        notes.push(format!("At most {most} characters."));
    }
    if let Some(AdditionalProperties::RefOr(_)) = object.additional_properties.as_deref() {
        let most = object.max_properties.unwrap_or_default();
        notes.push(format!("At most {most} pairs of strings."));
    }
    if let Some(usual) = &object.default {
        notes.push(format!("Usually `{}`.", plain(usual)));
    }
    notes.iter().map(|note| pieces(note)).collect()
}

fn example_of(shape: &Shape) -> Option<Vec<Piece>> {
    match shape {
        RefOr::T(Schema::Object(object)) if object.enum_values.is_none() => {
            let example = object.examples.first()?;
            Some(pieces(&format!("Such as `{}`.", plain(example))))
        }
        _ => None,
    }
}

fn entries(list: &Array) -> Option<Vec<Piece>> {
    let (least, most) = (list.min_items?, list.max_items?);
    Some(pieces(&format!("{least} to {most} entries.")))
}

fn number(number: &Number) -> String {
    match number {
        Number::Int(number) => number.to_string(),
        Number::UInt(number) => grouped(*number),
        Number::Float(_) => String::new(),
    }
}

/// A number with a comma at every thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let is_begin = |place: usize| place > 0 && place % 3 == first;
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if is_begin(place) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A text without its quotes, and anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_comma_at_every_thousand() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (86_400, "86,400"),
            (1_000_000, "1,000,000"),
        ];
        for (number, written) in table {
            assert_eq!(grouped(number), written);
        }
    }

    #[test]
    fn a_text_is_taken_apart_at_its_backticks() {
        let found: Vec<(String, bool)> = pieces("Such as `5.00`.")
            .into_iter()
            .map(|piece| (piece.text, piece.is_code))
            .collect();
        let expected = [("Such as ", false), ("5.00", true), (".", false)];
        assert_eq!(found, expected.map(|(text, is_code)| (text.to_owned(), is_code)));
    }
}
