//! Reads price files: one JSON object from model to fields, with LiteLLM's field names. A price is read from the
//! number's text, so that no float stands between the file and the bill; what is finer than a nano-dollar per million
//! units is rounded half up and reported. A file that cannot be read is refused whole, because no price is better than
//! a wrong one; of the operator's own file so is a field that the shipped one does not know, which is a typing error.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::decimal::scale;
use super::draft::Draft;
use super::fields::{Entries, Fields};
use super::off_peak::{OffPeak, windows};
use super::slot::{Part, Slot};
use super::variants::pixels;
use super::{HiddenOutput, Mode, ModelPrice, ServiceTier, WebSearchUnit};
use crate::domain::money::Money;

/// Why a price file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("the price file is not a JSON object of models: {0}")]
    Unreadable(String),
    #[error("the price file gives {model} the field {field} = {value}, which is not a price")]
    NotAPrice {
        model: String,
        field: String,
        value: String,
    },
    #[error("the price file's entry of {model} {why}")]
    BadEntry { model: String, why: String },
}

/// Decimal places between dollars per unit and nano-dollars per 1,000,000 units.
const RATE_PLACES: i32 = 15;
/// Decimal places between dollars and nano-dollars.
const FEE_PLACES: i32 = 9;

/// The operator's word in an entry whose price is far off the one before.
pub(super) const ACCEPT: &str = "caldera_accept";

/// Whose file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its fields that are no prices of ours are ignored.
    Base,
    /// Read after the other; nothing in it is ignored.
    Operator,
}

/// The reader; keeps the provider tags so that each exists once in memory.
#[derive(Default)]
pub(super) struct Import {
    /// Of the book that is read.
    version: u32,
    tags: HashMap<String, Arc<str>>,
    /// The names of fields that the base file has.
    pub(super) known: HashSet<String>,
    /// Models whose entries say that a leap of the price is meant.
    pub(super) accepted: HashSet<Arc<str>>,
    pub(super) warnings: Vec<String>,
}

impl Import {
    pub(super) fn new(version: u32) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// Every model that has a price, in the file's order.
    pub(super) fn read(&mut self, text: &str, source: Source) -> Result<Vec<ModelPrice>, PriceError> {
        let entries: Entries<'_> =
            serde_json::from_str(text).map_err(|error| PriceError::Unreadable(error.to_string()))?;
        let mut prices = Vec::with_capacity(entries.0.len());
        let mut seen = HashSet::new();
        for (model, fields) in entries.0 {
            if source == Source::Operator && !seen.insert(model.clone()) {
                return Err(bad(&model, "is there twice"));
            }
            let fields: Fields<'_> =
                serde_json::from_str(fields.get()).map_err(|_| bad(&model, "is not an object of fields"))?;
            match source {
                Source::Base => self.known.extend(fields.names().map(str::to_owned)),
                Source::Operator => self.check(&model, &fields)?,
            }
            let price = self.read_model(&model, &fields)?;
            if price.is_none() && source == Source::Operator {
                return Err(bad(&model, "has no price that a model of its mode is billed by"));
            }
            prices.extend(price);
        }
        Ok(prices)
    }

    /// Refuses what would be ignored.
    fn check(&self, model: &str, fields: &Fields<'_>) -> Result<(), PriceError> {
        let mut seen = HashSet::new();
        for name in fields.names() {
            if !seen.insert(name) {
                return Err(bad(model, &format!("has the field {name} twice")));
            }
            if name != ACCEPT && Slot::of(name).is_none() && !self.known.contains(name) {
                return Err(bad(model, &format!("has the unknown field {name}")));
            }
        }
        for name in ["max_input_tokens", "max_output_tokens"] {
            if fields.get(name).is_some() && fields.count(name).is_none() {
                return Err(bad(model, &format!("has a {name} that is no count")));
            }
        }
        match fields.text("litellm_provider") {
            None | Some("") => Err(bad(model, "has no litellm_provider, so no provider would have it")),
            Some(_) => Ok(()),
        }
    }

    fn read_model(&mut self, model: &str, fields: &Fields<'_>) -> Result<Option<ModelPrice>, PriceError> {
        let draft = self.read_draft(model, fields)?;
        match fields.get(ACCEPT) {
            None | Some("false") => {}
            Some("true") => {
                self.accepted.insert(model.into());
            }
            Some(_) => return Err(bad(model, "has a caldera_accept that is neither true nor false")),
        }
        if !draft.is_price() {
            return Ok(None);
        }
        let mut price = self.price(model, fields, &draft);
        if let Some(text) = fields.get("off_peak_pricing") {
            price.off_peak = Some(Arc::new(self.read_off_peak(&price, (text, draft), fields)?));
        }
        Ok(Some(price))
    }

    fn price(&mut self, model: &str, fields: &Fields<'_>, draft: &Draft) -> ModelPrice {
        let special = |tier| draft.prices(tier).then(|| Box::new(draft.tier(tier)));
        let tag = fields.text("litellm_provider").unwrap_or_default();
        ModelPrice {
            id: model.into(),
            provider_tag: self.tags.entry(tag.to_owned()).or_insert_with(|| tag.into()).clone(),
            mode: draft.mode,
            prices_tokens: draft.prices_tokens(),
            max_input_tokens: fields.count("max_input_tokens"),
            max_output_tokens: fields.count("max_output_tokens"),
            hidden_output: hidden_output(fields),
            flex: special(ServiceTier::Flex),
            priority: special(ServiceTier::Priority),
            ultrafast: special(ServiceTier::Ultrafast),
            batch: special(ServiceTier::Batch),
            standard: draft.tier(ServiceTier::Standard),
            request_fee: Money::from_nanos(draft.request_fee),
            web_search_fee: Money::from_nanos(draft.web_search_fee),
            web_search_unit: draft.web_search_unit,
            book_version: Some(self.version),
            off_peak: None,
        }
    }

    /// The same model with what its off-peak prices say instead.
    fn read_off_peak(
        &mut self,
        peak: &ModelPrice,
        (text, mut draft): (&str, Draft),
        fields: &Fields<'_>,
    ) -> Result<OffPeak, PriceError> {
        let unclear = || bad(&peak.id, "has an off_peak_pricing that is not understood");
        let own: Fields<'_> = serde_json::from_str(text).map_err(|_| unclear())?;
        let windows = own.get("windows").and_then(windows).ok_or_else(unclear)?;
        let mut rates = Vec::new();
        for (name, value) in own.0.iter().filter(|(name, _)| name != "windows") {
            let slot = Slot::of(name).ok_or_else(unclear)?;
            rates.push((slot, self.amount((&peak.id, name, value.get()), RATE_PLACES)?));
        }
        rates.append(&mut draft.rates);
        draft.rates = rates;
        let price = Arc::new(self.price(&peak.id, fields, &draft));
        Ok(OffPeak { windows, price })
    }

    fn read_draft(&mut self, model: &str, fields: &Fields<'_>) -> Result<Draft, PriceError> {
        let mut draft = Draft::new(mode(fields.text("mode").unwrap_or_default()));
        for (name, value) in &fields.0 {
            let written = (model, name.as_str(), value.get());
            if let Some(slot) = Slot::of(name) {
                draft.rates.extend(self.read_rate(slot, written)?);
            } else if name == "input_cost_per_request" {
                draft.request_fee = self.amount(written, FEE_PLACES)?;
            } else if name == "search_context_cost_per_query" {
                draft.web_search_fee = self.dearest_search(written)?;
            }
        }
        draft.web_search_unit = web_search_unit(fields);
        Ok(draft)
    }

    /// A price by the pixel is one by the image where the model's key names the image's size, and none elsewhere.
    fn read_rate(&mut self, slot: Slot, written: Written<'_>) -> Result<Option<(Slot, i64)>, PriceError> {
        let rate = self.amount(written, RATE_PLACES)?;
        if !matches!(slot.part, Part::InputPixels | Part::OutputPixels) {
            return Ok(Some((slot, rate)));
        }
        let (model, field, value) = written;
        let Some(pixels) = pixels(model) else { return Ok(None) };
        let all = rate
            .checked_mul(pixels)
            .ok_or_else(|| not_a_price(model, field, value))?;
        Ok(Some((slot, all)))
    }

    fn dearest_search(&mut self, (model, name, value): Written<'_>) -> Result<i64, PriceError> {
        let sizes: Fields<'_> = serde_json::from_str(value).map_err(|_| not_a_price(model, name, value))?;
        let mut dearest = 0;
        for (_, fee) in &sizes.0 {
            dearest = dearest.max(self.amount((model, name, fee.get()), FEE_PLACES)?);
        }
        Ok(dearest)
    }

    /// A decimal text times ten to the power of `places`, as an integer; rounds half up with a warning.
    fn amount(&mut self, (model, name, text): Written<'_>, places: i32) -> Result<i64, PriceError> {
        let scaled = scale(text, places).ok_or_else(|| not_a_price(model, name, text))?;
        if !scaled.exact {
            let unit = if places == RATE_PLACES {
                "a million units"
            } else {
                "a unit"
            };
            let warning = format!(
                "{model}: {name} = {text} was rounded to {} nano-dollars {unit}",
                scaled.value
            );
            self.warnings.push(warning);
        }
        Ok(scaled.value)
    }
}

/// Of which model, in which field, what.
type Written<'a> = (&'a str, &'a str, &'a str);

fn hidden_output(fields: &Fields<'_>) -> HiddenOutput {
    let says = |name: &str| fields.get(name) == Some("true");
    if says("thinking_always_on") {
        HiddenOutput::Always
    } else if says("supports_reasoning") {
        HiddenOutput::OnRequest
    } else {
        HiddenOutput::Never
    }
}

/// Google bills a grounded call once, but for the models whose entries say that each query counts.
fn web_search_unit(fields: &Fields<'_>) -> WebSearchUnit {
    let tag = fields.text("litellm_provider").unwrap_or_default();
    let google = matches!(tag, "gemini" | "vertex_ai" | "vertex_ai-language-models");
    match (google, fields.text("web_search_billing_unit")) {
        (true, None) => WebSearchUnit::Call,
        (true, Some(_)) | (false, _) => WebSearchUnit::Search,
    }
}

fn mode(text: &str) -> Mode {
    match text {
        "chat" => Mode::Chat,
        "completion" => Mode::Completion,
        "responses" => Mode::Responses,
        "embedding" => Mode::Embedding,
        "image_generation" | "image_edit" => Mode::Image,
        "audio_speech" => Mode::Speech,
        "audio_transcription" => Mode::Transcription,
        "rerank" => Mode::Rerank,
        _ => Mode::Other,
    }
}

fn not_a_price(model: &str, field: &str, value: &str) -> PriceError {
    PriceError::NotAPrice {
        model: model.to_owned(),
        field: field.to_owned(),
        value: value.to_owned(),
    }
}

pub(super) fn bad(model: &str, why: &str) -> PriceError {
    PriceError::BadEntry {
        model: model.to_owned(),
        why: why.to_owned(),
    }
}
