//! Images have a price by size and quality, and the price file puts both into the model's key: `hd/1024-x-1024/dall-e-3`
//! behind or without a provider's prefix. Here such keys are read, and the entry of a wanted picture is chosen. What is
//! left open is the provider's default; `auto` may become any of the model's pictures, so the dearest stands for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ModelPrice, PriceBook, TierRates};

/// The picture that a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picture<'a> {
    /// As `1024x1024`; `None` is the provider's default, as is a word that no entry knows.
    pub size: Option<&'a str>,
    /// As `high` or `hd`.
    pub quality: Option<&'a str>,
}

/// The price of one size and quality.
#[derive(Debug)]
pub(super) struct Variant {
    /// As in the key: `1024-x-1024`.
    size: Box<str>,
    quality: Option<Box<str>>,
    price: Arc<ModelPrice>,
}

/// By the key that is left when size and quality are taken out.
pub(super) type Variants = HashMap<String, Vec<Variant>>;

impl PriceBook {
    /// The price of a picture by one of the provider's models: that of its size and quality where the file has one,
    /// else the model's own. A model that is priced by the token and by the picture has both.
    pub fn find_image(
        &self,
        provider_tags: &[Arc<str>],
        prefixes: &[Arc<str>],
        model: &str,
        picture: Picture<'_>,
    ) -> Option<Arc<ModelPrice>> {
        let keys = std::iter::once(model.to_owned()).chain(prefixes.iter().map(|prefix| format!("{prefix}/{model}")));
        let variants: Vec<&Variant> = keys
            .filter_map(|key| self.variants.get(&key))
            .flatten()
            .filter(|variant| provider_tags.contains(&variant.price.provider_tag))
            .collect();
        let plain = self.find(provider_tags, prefixes, model);
        let image = |variant: &Variant| variant.price.standard.base.image;
        match (choose(&variants, picture), plain) {
            (Choice::Exactly(variant), Some(plain)) => Some(Arc::new(with_image(plain, image(variant)))),
            (Choice::Exactly(variant) | Choice::AnyUpTo(variant), None) => Some(variant.price.clone()),
            (Choice::AnyUpTo(variant) | Choice::Unknown(Some(variant)), Some(plain)) => {
                let dearest = plain.standard.base.image.max(image(variant));
                Some(Arc::new(with_image(plain, dearest)))
            }
            (Choice::Unknown(None), plain) => plain.cloned(),
            (Choice::Unknown(Some(_)), None) => None,
        }
    }
}

/// What the entries know of a picture.
enum Choice<'a> {
    Exactly(&'a Variant),
    /// What is asked for is left open: the dearest that it may become.
    AnyUpTo(&'a Variant),
    /// No entry is of it: the dearest of all, as far as that says anything.
    Unknown(Option<&'a Variant>),
}

/// Sorts the entries whose keys name a size under the models that they are of.
pub(super) fn collect<'a>(prices: impl Iterator<Item = &'a Arc<ModelPrice>>) -> Variants {
    let mut variants = Variants::new();
    for price in prices {
        if let Some((model, size, quality)) = split(&price.id) {
            variants.entry(model).or_default().push(Variant {
                size: size.into(),
                quality: quality.map(Into::into),
                price: price.clone(),
            });
        }
    }
    variants
}

/// How many pixels the size in a key has.
pub(super) fn pixels(key: &str) -> Option<i64> {
    let (_, size, _) = split(key)?;
    let (width, height) = size.split_once("-x-")?;
    width.parse::<i64>().ok()?.checked_mul(height.parse().ok()?)
}

/// A key without size and quality, the size, and the quality where there is one.
fn split(key: &str) -> Option<(String, &str, Option<&str>)> {
    let size = key.split('/').find(|part| is_size(part))?;
    let quality = key.split('/').find(|part| is_quality(part));
    let rest: Vec<&str> = key
        .split('/')
        .filter(|part| *part != size && Some(*part) != quality)
        .collect();
    Some((rest.join("/"), size, quality))
}

fn is_size(part: &str) -> bool {
    let side = |side: &str| side == "max" || side.bytes().all(|byte| byte.is_ascii_digit());
    part.split_once("-x-")
        .is_some_and(|(width, height)| !width.is_empty() && !height.is_empty() && side(width) && side(height))
}

fn is_quality(part: &str) -> bool {
    matches!(part, "low" | "medium" | "high" | "standard" | "hd") || part.ends_with("-steps")
}

fn choose<'a>(variants: &[&'a Variant], picture: Picture<'_>) -> Choice<'a> {
    // A model of which any quality can be asked makes what it likes when none is.
    let chooses = variants
        .iter()
        .any(|variant| matches!(variant.quality.as_deref(), Some("low" | "medium" | "high")));
    let default = |word: &'static str| if chooses { "auto" } else { word };
    let size = picture.size.unwrap_or(default("1024x1024")).replace("-x-", "x");
    let quality = picture.quality.unwrap_or(default("standard"));
    let is_of_size = |variant: &Variant| size == "auto" || variant.size.replace("-x-", "x") == size;
    let sized: Vec<&Variant> = variants.iter().copied().filter(|one| is_of_size(one)).collect();
    let fit = |variant: &&Variant| match variant.quality.as_deref() {
        _ if quality == "auto" => true,
        Some(named) => named == quality,
        None => false,
    };
    let unnamed = |variant: &&Variant| variant.quality.is_none() && !chooses;
    let chosen = dearest(sized.iter().copied().filter(fit)).or_else(|| dearest(sized.into_iter().filter(unnamed)));
    match chosen {
        Some(variant) if size == "auto" || quality == "auto" => Choice::AnyUpTo(variant),
        Some(variant) => Choice::Exactly(variant),
        None => Choice::Unknown(dearest(variants.iter().copied())),
    }
}

fn dearest<'a>(variants: impl Iterator<Item = &'a Variant>) -> Option<&'a Variant> {
    variants.max_by_key(|variant| variant.price.standard.base.image)
}

/// The model's own price with another of an image.
fn with_image(plain: &ModelPrice, image: i64) -> ModelPrice {
    let mut price = plain.clone();
    let special = [
        &mut price.flex,
        &mut price.priority,
        &mut price.ultrafast,
        &mut price.batch,
    ];
    let mut tiers: Vec<&mut TierRates> = special.into_iter().filter_map(Option::as_deref_mut).collect();
    tiers.push(&mut price.standard);
    for tier in tiers {
        tier.base.image = image;
        for (_, rates) in &mut tier.long_context {
            rates.image = image;
        }
    }
    price
}

#[cfg(test)]
#[path = "variants_tests.rs"]
mod tests;
