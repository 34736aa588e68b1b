//! Reads a JSON object member by member and knows where each stands, so that a refusal names it as the caller wrote it:
//! `messages.2.content.0.type`. Values stay raw text until they are asked for, so schemas and arguments keep their order
//! and digits. Of two members of one name readers differ in which they take, so an object with two is refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use super::inner::{CacheMark, Untranslatable};
use crate::gateway::dialect::Text;

type Result<T> = std::result::Result<T, Untranslatable>;

/// An object whose members are taken out one by one.
#[derive(Debug)]
pub struct Members<'a> {
    path: String,
    list: Vec<(Text<'a>, &'a RawValue)>,
}

/// A value in a list, with its place.
#[derive(Clone, Debug)]
pub struct Element<'a> {
    pub raw: &'a RawValue,
    pub path: String,
}

/// What a value is, by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    List,
    Object,
    Other,
}

/// What kind of value a raw text is.
pub fn kind(raw: &RawValue) -> Kind {
    match raw.get().as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'[') => Kind::List,
        Some(b'{') => Kind::Object,
        Some(_) | None => Kind::Other,
    }
}

/// The elements of a list.
pub fn elements<'a>(raw: &'a RawValue, path: &str) -> Result<Vec<Element<'a>>> {
    let list: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| Untranslatable::new(path, format!("`{path}` must be an array")))?;
    let element = |(index, raw)| Element {
        raw,
        path: format!("{path}.{index}"),
    };
    Ok(list.into_iter().enumerate().map(element).collect())
}

/// The text of a string.
pub fn string(raw: &RawValue, path: &str) -> Result<String> {
    serde_json::from_str(raw.get()).map_err(|_| Untranslatable::new(path, format!("`{path}` must be a string")))
}

impl<'a> Members<'a> {
    /// The members of a whole body.
    pub fn of_body(body: &'a [u8]) -> Result<Self> {
        let refused = || Untranslatable::new("", "the body must be a JSON object without members of the same name");
        let text = std::str::from_utf8(body).map_err(|_| refused())?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| refused())?;
        Self::read(raw, String::new()).map_err(|_| refused())
    }

    /// The members of the object at a place.
    pub fn read(raw: &'a RawValue, path: String) -> Result<Self> {
        match serde_json::from_str::<Object<'a>>(raw.get()) {
            Ok(Object(list)) if kind(raw) == Kind::Object && all_differ(&list) => Ok(Self { path, list }),
            Ok(_) | Err(_) => {
                let message = format!("`{path}` must be an object without members of the same name");
                Err(Untranslatable::new(path, message))
            }
        }
    }

    /// The place of a member.
    pub fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A refusal of a member.
    pub fn refuse(&self, name: &str, message: impl Into<String>) -> Untranslatable {
        Untranslatable::new(self.at(name), message)
    }

    /// Takes a member out; null is as good as none.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.list.iter().position(|(key, _)| key.0 == name)?;
        let (_, raw) = self.list.swap_remove(index);
        (raw.get() != "null").then_some(raw)
    }

    /// Takes a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.parsed(name, "a string")
    }

    /// Takes a string that must be there.
    pub fn required_text(&mut self, name: &str) -> Result<String> {
        self.text(name)?
            .ok_or_else(|| self.refuse(name, format!("`{}` is required", self.at(name))))
    }

    /// Takes a whole number.
    pub fn count(&mut self, name: &str) -> Result<Option<u64>> {
        self.parsed(name, "a whole number")
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.parsed(name, "a boolean")
    }

    pub fn number(&mut self, name: &str) -> Result<Option<Number>> {
        self.parsed(name, "a number")
    }

    pub fn object(&mut self, name: &str) -> Result<Option<Members<'a>>> {
        let path = self.at(name);
        self.take(name).map(|raw| Members::read(raw, path)).transpose()
    }

    /// Takes an object that must be there.
    pub fn required_object(&mut self, name: &str) -> Result<Members<'a>> {
        self.object(name)?
            .ok_or_else(|| self.refuse(name, format!("`{}` is required", self.at(name))))
    }

    /// Takes a list; none is an empty one.
    pub fn list(&mut self, name: &str) -> Result<Vec<Element<'a>>> {
        let path = self.at(name);
        self.take(name)
            .map_or_else(|| Ok(Vec::new()), |raw| elements(raw, &path))
    }

    /// Takes `cache_control`: Anthropic's word, which many clients use in OpenAI's dialect too.
    pub fn cache_mark(&mut self) -> Result<Option<CacheMark>> {
        let Some(mut mark) = self.object("cache_control")? else {
            return Ok(None);
        };
        let one_hour = mark.text("ttl")?.is_some_and(|ttl| ttl == "1h");
        Ok(Some(if one_hour {
            CacheMark::OneHour
        } else {
            CacheMark::FiveMinutes
        }))
    }

    /// The names of what was not taken and is not null.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let said = self.list.iter().filter(|(_, raw)| raw.get() != "null");
        said.map(|(key, _)| key.0.as_ref())
    }

    fn parsed<T: serde::de::DeserializeOwned>(&mut self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| self.refuse(name, format!("`{}` must be {what}", self.at(name))))
    }
}

fn all_differ(list: &[(Text<'_>, &RawValue)]) -> bool {
    let mut names: Vec<&str> = list.iter().map(|(key, _)| key.0.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = map.next_entry()? {
            list.push(entry);
        }
        Ok(Object(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_member_that_is_wrong_by_its_place() {
        let body = br#"{"a":{"b":[1,{"c":"x","d":null}]},"e":7}"#;
        let mut members = Members::of_body(body).unwrap();
        assert_eq!(members.text("e").unwrap_err().param, "e");
        let mut inside = members.object("a").unwrap().unwrap();
        let list = inside.list("b").unwrap();
        assert_eq!(
            Members::read(list[0].raw, list[0].path.clone()).unwrap_err().param,
            "a.b.0"
        );
        let mut last = Members::read(list[1].raw, list[1].path.clone()).unwrap();
        assert_eq!(last.text("d").unwrap(), None);
        assert_eq!(last.count("c").unwrap_err().param, "a.b.1.c");
        assert_eq!(last.required_text("f").unwrap_err().param, "a.b.1.f");
    }

    #[test]
    fn refuses_members_of_the_same_name_however_they_are_written() {
        for body in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            "[]",
            "7",
            "{",
            "\u{feff}{}",
        ] {
            assert!(Members::of_body(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Members::of_body(b"\xff").is_err());
    }
}
