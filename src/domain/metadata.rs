//! The labels that a caller puts on a request: at most 100 pairs of short texts. Owns their rules and refuses what
//! breaks them, naming the rule; it never cuts or repairs. The gateway reads them from headers and the query, the
//! management routes from bodies, and they are stored with the request.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

/// The most pairs of one request.
pub const PAIRS_MAX: usize = 100;
/// The most characters of a key, and of a value.
pub const LENGTH_MAX: usize = 255;

/// Pairs in the order in which they came; a key stands there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pairs: Vec<(String, String)>,
}

/// The rule that metadata breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata must be a JSON object of strings: {0}")]
    NotAnObject(String),
    #[error("metadata must have at most {PAIRS_MAX} pairs")]
    TooMany,
    #[error("a metadata key must have 1 to {LENGTH_MAX} characters, only letters, digits and underscores: {0:?}")]
    Key(String),
    #[error("the metadata value of {0:?} must be a string of 1 to {LENGTH_MAX} characters, none of them U+0000")]
    Value(String),
    #[error("the metadata key {0:?} stands there twice")]
    Twice(String),
}

impl Metadata {
    /// Reads a JSON object, as in the header `x-lava-metadata` and the query's `metadata`.
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        let Object(pairs) =
            serde_json::from_str(text).map_err(|error| MetadataError::NotAnObject(error.to_string()))?;
        let mut metadata = Self::default();
        for (key, value) in pairs {
            metadata.insert(key, value)?;
        }
        Ok(metadata)
    }

    /// Adds a pair.
    pub fn insert(&mut self, key: String, value: String) -> Result<(), MetadataError> {
        let letters = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if key.is_empty() || key.len() > LENGTH_MAX || !letters(&key) {
            return Err(MetadataError::Key(key.chars().take(LENGTH_MAX).collect()));
        }
        // Postgres keeps no U+0000, neither in text nor in jsonb.
        if value.is_empty() || value.chars().count() > LENGTH_MAX || value.contains('\0') {
            return Err(MetadataError::Value(key));
        }
        if self.find(&key).is_some() {
            return Err(MetadataError::Twice(key));
        }
        if self.pairs.len() >= PAIRS_MAX {
            return Err(MetadataError::TooMany);
        }
        self.pairs.push((key, value));
        Ok(())
    }

    /// Adds the pair of a header `x-lava-metadata-{suffix}: {value}`; the key is lower-cased and its hyphens become
    /// underscores, which the rules need. What the request has already said of this key stands.
    pub fn insert_header(&mut self, suffix: &str, value: &str) -> Result<(), MetadataError> {
        let key = suffix.to_ascii_lowercase().replace('-', "_");
        if self.find(&key).is_some() {
            return Ok(());
        }
        self.insert(key, value.to_owned())
    }

    /// Adds all pairs of the other whose keys are not here yet.
    pub fn merge(&mut self, other: Self) -> Result<(), MetadataError> {
        for (key, value) in other.pairs {
            if self.find(&key).is_none() {
                self.insert(key, value)?;
            }
        }
        Ok(())
    }

    pub fn find(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A JSON object, in the order of the pairs.
    pub fn to_json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let pairs: Vec<String> = self
            .pairs()
            .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs())
    }
}

/// An object of strings with every pair that was written, so that a key written twice is seen.
struct Object(Vec<(String, String)>);

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            if pairs.len() > PAIRS_MAX {
                return Err(A::Error::custom(MetadataError::TooMany));
            }
            pairs.push(pair);
        }
        Ok(Object(pairs))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_pairs_in_order_and_writes_them_back() {
        let text = r#"{"feature":"chat","user_1":"a \"b\" é"}"#;
        let metadata = Metadata::parse(text).unwrap();
        assert_eq!((metadata.len(), metadata.find("feature")), (2, Some("chat")));
        assert_eq!(metadata.to_json(), text);
        assert_eq!(serde_json::to_string(&metadata).unwrap(), text);
        assert_eq!(Metadata::parse("{}").unwrap().to_json(), "{}");
    }

    #[test]
    fn names_the_rule_that_is_broken() {
        let long = "x".repeat(256);
        let pairs = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|index| format!("\"k{index}\":\"v\"")).collect();
            format!("{{{}}}", pairs.join(","))
        };
        let table = [
            ("[]".to_owned(), "JSON object"),
            ("{".to_owned(), "JSON object"),
            ("\"x\"".to_owned(), "JSON object"),
            (r#"{"a":1}"#.to_owned(), "object of strings"),
            (r#"{"a":null}"#.to_owned(), "object of strings"),
            (r#"{"a":{"b":"c"}}"#.to_owned(), "object of strings"),
            (r#"{"":"v"}"#.to_owned(), "metadata key"),
            (r#"{"a-b":"v"}"#.to_owned(), "metadata key"),
            (r#"{"é":"v"}"#.to_owned(), "metadata key"),
            (format!(r#"{{"{long}":"v"}}"#), "metadata key"),
            (r#"{"a":""}"#.to_owned(), "metadata value"),
            (format!(r#"{{"a":"{long}"}}"#), "metadata value"),
            (r#"{"a":"b\u0000c"}"#.to_owned(), "U+0000"),
            (r#"{"a\u0000":"b"}"#.to_owned(), "metadata key"),
            (r#"{"a":"1","a":"2"}"#.to_owned(), "twice"),
            (pairs(101), "at most 100"),
            (pairs(500), "at most 100"),
        ];
        for (text, rule) in table {
            let error = Metadata::parse(&text).unwrap_err().to_string();
            assert!(error.contains(rule), "{text}: {error}");
        }
        assert_eq!(Metadata::parse(&pairs(100)).unwrap().len(), 100);
        assert!(Metadata::parse(&format!(r#"{{"a":"{}"}}"#, "é".repeat(255))).is_ok());
    }

    #[test]
    fn headers_add_what_the_object_has_not_said() {
        let mut metadata = Metadata::parse(r#"{"feature":"chat"}"#).unwrap();
        metadata.insert_header("Feature", "other").unwrap();
        metadata.insert_header("User-Id", "u1").unwrap();
        assert_eq!(metadata.to_json(), r#"{"feature":"chat","user_id":"u1"}"#);
        assert!(metadata.insert_header("a.b", "x").is_err());
        metadata
            .merge(Metadata::parse(r#"{"user_id":"u2","z":"1"}"#).unwrap())
            .unwrap();
        assert_eq!(metadata.find("user_id"), Some("u1"));
        assert_eq!(metadata.find("z"), Some("1"));
    }
}
