//! The operator's own price file as something that can be added to and written: its entries keep the texts that they came
//! with, so that no price passes through a number of another kind. What LiteLLM publishes holds more than an operator's
//! file may, and is sifted first: fields that are not known here and entries without a price are left out, and named.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Entries, Fields};
use super::import::{ACCEPT, Import, PriceError, Source, bad};
use super::slot::Slot;
use super::{ModelPrice, PriceBook};

/// The entry in LiteLLM's file that explains the others.
const SPECIMEN: &str = "sample_spec";

/// Entries by model, each as the text of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceFile(BTreeMap<String, String>);

/// What a sifting left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Models, and why they have no price here.
    pub entries: Vec<(String, String)>,
    pub fields: BTreeSet<String>,
}

impl PriceFile {
    /// Reads a file's entries; whether each is a price is not looked at.
    pub fn read(text: &str) -> Result<Self, PriceError> {
        let entries: Entries<'_> =
            serde_json::from_str(text).map_err(|error| PriceError::Unreadable(error.to_string()))?;
        let mut file = Self::default();
        for (model, fields) in entries.0 {
            if file.0.insert(model.clone(), fields.get().to_owned()).is_some() {
                return Err(bad(&model, "is there twice"));
            }
        }
        Ok(file)
    }

    /// Whether it is the file that LiteLLM publishes.
    pub fn is_published(&self) -> bool {
        self.0.contains_key(SPECIMEN)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the entries that `is_meant` says.
    pub fn retain(&mut self, mut is_meant: impl FnMut(&str) -> bool) {
        self.0.retain(|model, _| is_meant(model));
    }

    /// Puts the entries of another over its own.
    pub fn lay_over(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Leaves out what an operator's file may not hold, by what the base file knows.
    pub fn sift(&mut self, base: &str) -> Result<Sifted, PriceError> {
        let mut import = Import::new(0);
        import.known = known_fields(base)?;
        let mut sifted = Sifted::default();
        self.0.remove(SPECIMEN);
        for (model, text) in std::mem::take(&mut self.0) {
            match sift_entry(&text, &import.known, &mut sifted.fields) {
                Some(kept) => match sole_price(&mut import, &model, &kept) {
                    Ok(()) => {
                        self.0.insert(model, kept);
                    }
                    Err(why) => sifted.entries.push((model, why)),
                },
                None => sifted.entries.push((model, "is not an object of fields".to_owned())),
            }
        }
        Ok(sifted)
    }

    /// Says in an entry that its leap is meant; false where there is no such entry.
    pub fn accept(&mut self, model: &str) -> bool {
        let Some(text) = self.0.get_mut(model) else {
            return false;
        };
        let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(text) else {
            return false;
        };
        if fields.remove(ACCEPT).is_none() {
            let inner = text.trim().trim_end_matches('}').trim_end();
            let comma = if inner.ends_with('{') { "" } else { ", " };
            *text = format!("{inner}{comma}\"{ACCEPT}\": true}}");
        }
        true
    }

    /// The file's text, an entry a line.
    pub fn write(&self) -> String {
        let line = |(model, fields): (&String, &String)| {
            let fields = fields.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
            format!("{}: {fields}", Value::from(model.as_str()))
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

impl PriceBook {
    /// The price under this key where it is not the same in another book.
    pub fn differs_at(&self, other: &Self, model: &str) -> bool {
        let same = |one: &ModelPrice, other: &ModelPrice| one.costs_the_same_as(other);
        match (self.get(model), other.get(model)) {
            (Some(one), Some(other)) => !same(one, other),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        }
    }
}

fn known_fields(base: &str) -> Result<HashSet<String>, PriceError> {
    let entries: Entries<'_> = serde_json::from_str(base).map_err(|error| PriceError::Unreadable(error.to_string()))?;
    let mut known = HashSet::new();
    for (model, fields) in entries.0 {
        let fields: Fields<'_> =
            serde_json::from_str(fields.get()).map_err(|_| bad(&model, "is not an object of fields"))?;
        known.extend(fields.names().map(str::to_owned));
    }
    Ok(known)
}

/// The entry without the fields that are not known, and without those that say nothing.
fn sift_entry(text: &str, known: &HashSet<String>, dropped: &mut BTreeSet<String>) -> Option<String> {
    let fields: Fields<'_> = serde_json::from_str(text).ok()?;
    let mut kept: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for (name, value) in &fields.0 {
        let value: &RawValue = value;
        let is_known = Slot::of(name).is_some() || known.contains(name);
        if !is_known {
            dropped.insert(name.clone());
        } else if value.get() != "null" && seen.insert(name.as_str()) {
            kept.push(format!("{}: {}", Value::from(name.as_str()), value.get()));
        }
    }
    Some(format!("{{{}}}", kept.join(", ")))
}

/// Why an entry is no price of an operator's file.
fn sole_price(import: &mut Import, model: &str, fields: &str) -> Result<(), String> {
    let text = format!("{{{}: {fields}}}", Value::from(model));
    let read = import.read(&text, Source::Operator);
    read.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}}"#;
    const PUBLISHED: &str = r#"{
        "sample_spec": {"input_cost_per_token": "a number"},
        "m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-6, "max_query_length": null,
              "a_new_word": true},
        "free text": {"litellm_provider": "openai", "mode": "chat"},
        "n": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 7.5e-08}
    }"#;

    #[test]
    fn what_is_published_becomes_a_file_of_ones_own() {
        let mut file = PriceFile::read(PUBLISHED).unwrap();
        assert!(file.is_published());
        let sifted = file.sift(BASE).unwrap();
        assert_eq!(
            sifted.fields,
            BTreeSet::from(["a_new_word".to_owned(), "max_query_length".to_owned()])
        );
        assert_eq!(sifted.entries.len(), 1);
        assert!(sifted.entries[0].1.contains("no price"), "{sifted:?}");
        let written = file.write();
        assert!(written.contains("7.5e-08"), "{written}");
        let (book, _) = PriceBook::merge(BASE, Some(&written)).unwrap();
        assert_eq!(book.get("n").unwrap().standard.base.input, 75_000_000);
        assert!(book.differs_at(&PriceBook::parse(BASE).unwrap().0, "m"));
    }

    #[test]
    fn a_leap_is_said_to_be_meant_in_the_entry_itself() {
        let mut file = PriceFile::read(BASE).unwrap();
        assert!(file.accept("m") && file.accept("m") && !file.accept("x"));
        assert!(
            file.write()
                .contains(r#""input_cost_per_token": 1e-6, "caldera_accept": true}"#)
        );
        assert!(PriceFile::read(r#"{"a": {}, "a": {}}"#).is_err());
        assert!(PriceFile::read("[]").is_err());
    }
}
