//! A JSON value that is about to be written: members stay in the order in which they were put, and schemas and
//! arguments are written as the raw text that they were read as. Writers of all dialects build their bodies of it.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use serde::{Serialize, Serializer};
use serde_json::Number;
use serde_json::value::RawValue;

/// A value to write.
#[derive(Clone, Debug)]
pub enum Json<'a> {
    Null,
    Flag(bool),
    Count(u64),
    Number(&'a Number),
    Text(Cow<'a, str>),
    Raw(&'a RawValue),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// Members in order.
#[derive(Clone, Debug, Default)]
pub struct Object<'a>(Vec<(&'static str, Json<'a>)>);

impl<'a> Object<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// An object that says its `type` first.
    pub fn typed(kind: &'a str) -> Self {
        Self::new().with("type", kind)
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Json<'a>>) -> Self {
        self.put(name, value);
        self
    }

    pub fn put(&mut self, name: &'static str, value: impl Into<Json<'a>>) {
        self.0.push((name, value.into()));
    }

    /// Puts a member where there is a value.
    pub fn put_some(&mut self, name: &'static str, value: Option<impl Into<Json<'a>>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Puts a list where it is not empty.
    pub fn put_list(&mut self, name: &'static str, list: Vec<Json<'a>>) {
        if !list.is_empty() {
            self.put(name, list);
        }
    }

    /// This object with the members of another behind its own.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value as JSON text.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and raw JSON always serialise")
    }

    /// Writes the value as one server-sent event, with its name where the dialect has one.
    pub fn write_frame(&self, event: Option<&str>, out: &mut BytesMut) {
        if let Some(event) = event {
            out.put_slice(b"event: ");
            out.put_slice(event.as_bytes());
            out.put_u8(b'\n');
        }
        out.put_slice(b"data: ");
        serde_json::to_writer((&mut *out).writer(), self).expect("writing to memory does not fail");
        out.put_slice(b"\n\n");
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Raw(raw) => raw.serialize(serializer),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Json<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for Json<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Json<'_> {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl<'a> From<&'a Number> for Json<'a> {
    fn from(number: &'a Number) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self::Raw(raw)
    }
}

impl<'a> From<Vec<Json<'a>>> for Json<'a> {
    fn from(list: Vec<Json<'a>>) -> Self {
        Self::List(list)
    }
}

impl<'a> From<Object<'a>> for Json<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl<'a, T: Into<Json<'a>>> From<Option<T>> for Json<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_of_members_and_raw_text_as_it_was() {
        let raw: &RawValue = serde_json::from_str(r#"{"z": 1.50, "a":[]}"#).unwrap();
        let mut object = Object::typed("t").with("schema", raw).with("none", Json::Null);
        object.put_some("absent", None::<u64>);
        object.put_list("empty", Vec::new());
        object.put("n", 7);
        let text = r#"{"type":"t","schema":{"z": 1.50, "a":[]},"none":null,"n":7}"#;
        assert_eq!(object.to_bytes(), text.as_bytes());
        let mut out = BytesMut::new();
        Object::typed("x\ny").write_frame(Some("e"), &mut out);
        assert_eq!(&out[..], b"event: e\ndata: {\"type\":\"x\\ny\"}\n\n");
    }
}
