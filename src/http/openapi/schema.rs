//! The words in which the reference says what a field is. An answer holds all of its fields but those that are marked
//! optional; a body may miss all but those that are marked required.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::Number;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Deprecated, KnownFormat, Object, Ref, RefOr, Schema};

use crate::http::vocabulary::older_names;

/// What a value may be.
pub type Shape = RefOr<Schema>;

/// One field of an object, or one parameter.
#[derive(Clone)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub presence: Presence,
}

/// Whether a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// As its object has it: answers hold what they have, bodies say what they want.
    Usual,
    Required,
    Optional,
}

/// What becomes of fields that are not described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Refused,
    Ignored,
}

/// An object in an answer.
pub fn object(fields: Vec<Field>) -> Object {
    let mut object = ObjectBuilder::new();
    for field in fields {
        if field.presence != Presence::Optional {
            object = object.required(field.name);
        }
        object = object.property(field.name, field.shape);
    }
    object.build()
}

/// An object in a body.
pub fn body(unknown: Unknown, fields: Vec<Field>) -> Object {
    let mut object = ObjectBuilder::new();
    let older: Vec<Field> = fields.iter().flat_map(Field::in_older_words).collect();
    for field in fields.into_iter().chain(older) {
        if field.presence == Presence::Required {
            object = object.required(field.name);
        }
        object = object.property(field.name, field.shape);
    }
    if unknown == Unknown::Refused {
        object = object.additional_properties(Some(AdditionalProperties::FreeForm(false)));
    }
    object.build()
}

/// A thing that is described by itself.
pub fn the(name: &str) -> Shape {
    Ref::from_schema_name(name).into()
}

/// Text of at least one character.
pub fn text(name: &'static str, says: &str) -> Field {
    Field::of(name, typed(Type::String, says).min_length(Some(1)))
}

/// Text that may be empty.
pub fn any_text(name: &'static str, says: &str) -> Field {
    Field::of(name, typed(Type::String, says))
}

/// An id of ours, by how ids of its kind begin.
pub fn id(name: &'static str, prefix: &str, says: &str) -> Field {
    let pattern = format!("^{prefix}_(test_)?[0-7][0-9A-HJKMNP-TV-Z]{{25}}$");
    let example = format!("{prefix}_01M7ZY4PNXAAW507MJ9YGSP41Y");
    Field::of(
        name,
        typed(Type::String, says).pattern(Some(pattern)).examples([example]),
    )
}

/// Dollars as answers have them.
pub fn money(name: &'static str, says: &str) -> Field {
    let amount = typed(Type::String, says).pattern(Some(r"^-?\d+\.\d{2,9}$"));
    Field::of(name, amount.examples(["5.00"]))
}

/// Dollars as bodies say them.
pub fn amount(name: &'static str, says: &str) -> Field {
    let amount = typed(Type::String, says).pattern(Some(r"^\d{1,9}(\.\d{1,9})?$"));
    Field::of(name, amount.examples(["5.00"]))
}

/// An instant, in UTC in answers.
pub fn instant(name: &'static str, says: &str) -> Field {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let instant = typed(Type::String, says).format(Some(format));
    Field::of(name, instant.examples(["2026-11-21T04:18:45.000Z"]))
}

/// A whole number that is not negative.
pub fn count(name: &'static str, says: &str) -> Field {
    Field::of(name, typed(Type::Integer, says).minimum(Some(Number::UInt(0))))
}

/// A whole number within these bounds.
pub fn integer(name: &'static str, range: RangeInclusive<usize>, says: &str) -> Field {
    let number = typed(Type::Integer, says);
    let number = number.minimum(Some(Number::UInt(*range.start())));
    Field::of(name, number.maximum(Some(Number::UInt(*range.end()))))
}

pub fn flag(name: &'static str, says: &str) -> Field {
    Field::of(name, typed(Type::Boolean, says))
}

/// One of these words.
pub fn word(name: &'static str, words: &[&str], says: &str) -> Field {
    let words = words.iter().copied().map(Value::from);
    Field::of(name, typed(Type::String, says).enum_values(Some(words)))
}

/// A list; its items are as this shape.
pub fn list(name: &'static str, items: impl Into<Shape>, says: &str) -> Field {
    let list = ArrayBuilder::new().items(items.into()).description(Some(says));
    Field {
        name,
        shape: list.into(),
        presence: Presence::Usual,
    }
}

/// A list of at most 100 texts, each of 1 to 255 characters.
pub fn texts(name: &'static str, says: &str) -> Field {
    list(name, text("", "").most(255), says).entries(1..=100)
}

/// An object within the object.
pub fn nested(name: &'static str, mut object: Object, says: &str) -> Field {
    object.description = Some(says.to_owned());
    Field {
        name,
        shape: object.into(),
        presence: Presence::Usual,
    }
}

/// A thing that is described by itself.
pub fn link(name: &'static str, thing: &str, says: &str) -> Field {
    let mut reference = Ref::from_schema_name(thing);
    reference.description = says.to_owned();
    Field {
        name,
        shape: reference.into(),
        presence: Presence::Usual,
    }
}

/// An object of the caller's own.
pub fn open(name: &'static str, says: &str) -> Field {
    let free = AdditionalProperties::FreeForm(true);
    Field::of(name, typed(Type::Object, says).additional_properties(Some(free)))
}

/// An object of the caller's own whose values are texts.
pub fn labels(name: &'static str, says: &str) -> Field {
    let values = AdditionalProperties::RefOr(any_text("", "").like(r"^[^\u0000]{1,255}$").shape);
    let names = typed(Type::String, "").pattern(Some("^[A-Za-z0-9_]{1,255}$"));
    let labels = typed(Type::Object, says).additional_properties(Some(values));
    let labels = labels.property_names(Some(Schema::from(names.build())));
    Field::of(name, labels.max_properties(Some(100)))
}

/// Any JSON.
pub fn anything(name: &'static str, says: &str) -> Field {
    Field::of(name, typed_as(SchemaType::AnyValue, says))
}

fn typed(kind: Type, says: &str) -> ObjectBuilder {
    typed_as(SchemaType::Type(kind), says)
}

fn typed_as(kind: SchemaType, says: &str) -> ObjectBuilder {
    let says = Some(says).filter(|says| !says.is_empty());
    ObjectBuilder::new().schema_type(kind).description(says)
}

impl Field {
    fn of(name: &'static str, shape: ObjectBuilder) -> Self {
        Self {
            name,
            shape: shape.into(),
            presence: Presence::Usual,
        }
    }

    pub fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    pub fn optional(mut self) -> Self {
        self.presence = Presence::Optional;
        self
    }

    /// The same under the names that older clients say.
    pub fn in_older_words(&self) -> Vec<Self> {
        let older = |name: &&'static str| {
            let field = Self {
                name,
                presence: Presence::Optional,
                ..self.clone()
            };
            let says = format!("As `{}`, in older words.", self.name);
            field.with_text(&says).older()
        };
        older_names(self.name).iter().map(older).collect()
    }

    /// It may be null.
    pub fn or_null(mut self) -> Self {
        let null = || typed(Type::Null, "").build();
        self.shape = match self.shape {
            RefOr::T(Schema::Object(mut object)) => {
                object.schema_type = with_null(object.schema_type);
                if let Some(words) = &mut object.enum_values {
                    words.push(Value::Null);
                }
                object.into()
            }
            RefOr::T(Schema::Array(mut list)) => {
                list.schema_type = with_null(list.schema_type);
                list.into()
            }
            RefOr::Ref(mut reference) => {
                let says = std::mem::take(&mut reference.description);
                let either = OneOfBuilder::new().item(reference).item(null());
                either.description(Some(says)).into()
            }
            other @ RefOr::T(Schema::OneOf(_) | Schema::AllOf(_) | Schema::AnyOf(_)) => {
                OneOfBuilder::new().item(other).item(null()).into()
            }
            // The enum may grow.
            other => other,
        };
        self
    }

    /// Text, or a whole number up to this one.
    pub fn or_number(self, most: u64) -> Self {
        self.with(|object| {
            object.schema_type = SchemaType::Array(vec![Type::String, Type::Integer]);
            object.minimum = Some(Number::UInt(0));
            object.maximum = usize::try_from(most).ok().map(Number::UInt);
        })
    }

    /// At most so many characters.
    pub fn most(self, characters: usize) -> Self {
        self.with(|object| object.max_length = Some(characters))
    }

    /// As this pattern has it, which says its length too.
    pub fn like(self, pattern: &str) -> Self {
        self.with(|object| {
            object.pattern = Some(pattern.to_owned());
            object.min_length = None;
        })
    }

    pub fn example(self, value: impl Into<Value>) -> Self {
        self.with(|object| object.examples = vec![value.into()])
    }

    /// What it is where nothing is said.
    pub fn usually(self, value: impl Into<Value>) -> Self {
        self.with(|object| object.default = Some(value.into()))
    }

    /// A word of an older vocabulary.
    pub fn older(mut self) -> Self {
        if let RefOr::T(Schema::Array(list)) = &mut self.shape {
            list.deprecated = Some(Deprecated::True);
        }
        self.with(|object| object.deprecated = Some(Deprecated::True))
    }

    /// How many entries a list may have.
    pub fn entries(mut self, range: RangeInclusive<usize>) -> Self {
        if let RefOr::T(Schema::Array(list)) = &mut self.shape {
            list.min_items = Some(*range.start());
            list.max_items = Some(*range.end());
        }
        self
    }

    fn with_text(mut self, says: &str) -> Self {
        if let RefOr::T(Schema::Array(list)) = &mut self.shape {
            list.description = Some(says.to_owned());
        }
        self.with(|object| object.description = Some(says.to_owned()))
    }

    fn with(mut self, change: impl FnOnce(&mut Object)) -> Self {
        if let RefOr::T(Schema::Object(object)) = &mut self.shape {
            change(object);
        }
        self
    }
}

impl From<Field> for Shape {
    fn from(field: Field) -> Self {
        field.shape
    }
}

fn with_null(kind: SchemaType) -> SchemaType {
    match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind, Type::Null]),
        other @ (SchemaType::Array(_) | SchemaType::AnyValue) => other,
    }
}
