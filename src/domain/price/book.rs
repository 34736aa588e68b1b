//! The price book: every model that the price file and the operator's own file price, found by the provider tags and key
//! prefixes of a catalogue row. It is read once and never changes; other files are another book with another version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ModelPrice;
use super::import::{Import, PriceError, Source};
use super::leap::left_out;
use super::variants::{self, Variants};

/// All prices of one price file, and of the operator's own.
#[derive(Debug, Default)]
pub struct PriceBook {
    prices: HashMap<Arc<str>, Arc<ModelPrice>>,
    pub(super) variants: Variants,
    /// Models whose entries say that a leap of their price is meant.
    pub(super) accepted: HashSet<Arc<str>>,
    version: u32,
}

impl PriceBook {
    /// Reads a price file; the warnings name prices that had to be rounded and models that stand there twice.
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), PriceError> {
        Self::merge(text, None)
    }

    /// Reads a price file and the operator's own, whose entries replace those of the same name or are added.
    pub fn merge(base: &str, own: Option<&str>) -> Result<(Self, Vec<String>), PriceError> {
        let mut version = crc32fast::Hasher::new();
        version.update(base.as_bytes());
        version.update(own.unwrap_or_default().as_bytes());
        let version = version.finalize();
        let mut import = Import::new(version);
        let mut prices = HashMap::new();
        for model in import.read(base, Source::Base)? {
            if let Some(replaced) = prices.insert(model.id.clone(), Arc::new(model)) {
                let warning = format!("{} stands there twice; the later entry counts", replaced.id);
                import.warnings.push(warning);
            }
        }
        if let Some(own) = own {
            for model in import.read(own, Source::Operator)? {
                let model = Arc::new(model);
                if let Some(replaced) = prices.insert(model.id.clone(), model.clone()) {
                    let left_out = left_out(&replaced, &model).into_iter();
                    let warn = |what| {
                        format!(
                            "{}: its own entry leaves out the price of a {what}, which is free then",
                            model.id
                        )
                    };
                    import.warnings.extend(left_out.map(warn));
                }
            }
        }
        let book = Self {
            variants: variants::collect(prices.values()),
            prices,
            accepted: import.accepted,
            version,
        };
        Ok((book, import.warnings))
    }

    /// The price of a provider's model: under one of the prefixes, or bare, and marked with one of the tags.
    /// A fine-tuned model (`ft:base:...`) has the price of its base's fine-tunes.
    pub fn find(&self, provider_tags: &[Arc<str>], prefixes: &[Arc<str>], model: &str) -> Option<&Arc<ModelPrice>> {
        let found = |id: &str| {
            self.prices
                .get(id)
                .filter(|price| provider_tags.contains(&price.provider_tag))
        };
        let exact = found(model).or_else(|| prefixes.iter().find_map(|prefix| found(&format!("{prefix}/{model}"))));
        exact.or_else(|| {
            let (base, _) = model.strip_prefix("ft:")?.split_once(':')?;
            found(&format!("ft:{base}"))
        })
    }

    /// The price under exactly this key of the file.
    pub fn get(&self, id: &str) -> Option<&Arc<ModelPrice>> {
        self.prices.get(id)
    }

    /// The version of the files: the CRC32 of their texts, one after the other.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Every price, in no order.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelPrice>> {
        self.prices.values()
    }
}

#[cfg(test)]
mod tests;
