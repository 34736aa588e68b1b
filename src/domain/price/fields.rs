//! The price file as pairs of names and raw texts, in the file's order. Values stay text, because a price must not pass
//! through a float; nothing here knows what a field means.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

/// The file's models in the file's order, each with the text of its fields.
pub(super) struct Entries<'a>(pub(super) Vec<(String, &'a RawValue)>);

/// The fields of one object, values as text.
pub(super) struct Fields<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl Fields<'_> {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.get())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.strip_prefix('"')?.strip_suffix('"')
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// Collects an object's pairs; both wrappers differ only in the value's type.
struct Pairs<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> serde::de::Visitor<'de> for Pairs<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(16));
        while let Some(name) = map.next_key::<String>()? {
            let value = map
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("after {name}: {error}")))?;
            pairs.push((name, value));
        }
        Ok(pairs)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(std::marker::PhantomData)).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(std::marker::PhantomData)).map(Self)
    }
}
