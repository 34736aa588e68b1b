//! The price book: every model of the price file that is priced per token, found by the provider tags and key prefixes
//! of a catalogue row. It is read once and never changes; another file is another book with another version.

use std::collections::HashMap;
use std::sync::Arc;

use super::ModelPrice;
use super::import::{Import, PriceError};

/// All prices of one price file.
#[derive(Debug, Default)]
pub struct PriceBook {
    prices: HashMap<Arc<str>, Arc<ModelPrice>>,
    version: u32,
}

impl PriceBook {
    /// Reads a price file; the warnings name prices that had to be rounded and models that stand there twice.
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), PriceError> {
        let mut import = Import::default();
        let models = import.read(text)?;
        let mut prices = HashMap::with_capacity(models.len());
        for model in models {
            let replaced = prices.insert(model.id.clone(), Arc::new(model));
            if let Some(replaced) = replaced {
                import
                    .warnings
                    .push(format!("{} stands there twice; the later entry counts", replaced.id));
            }
        }
        Ok((
            Self {
                prices,
                version: crc32fast::hash(text.as_bytes()),
            },
            import.warnings,
        ))
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

    /// The version of the file: the CRC32 of its text.
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
