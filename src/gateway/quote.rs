//! What a call may cost before it is sent: the claim on the payers' money, and what must change in its body so that the
//! claim holds. Computed from the bytes that will be sent, never from hopes: where a payer must be covered, a call
//! without a price or without a bound is refused.

use bytes::Bytes;

use crate::domain::key::{Enforcement, KeySettings};
use crate::domain::money::Money;
use crate::domain::price::{Bound, HiddenOutput, ModelPrice};
use crate::domain::room::Claim;

use super::Refusal;
use super::calibration::Calibration;
use super::dialect::{CallShape, Changes, OutputCap, OutputCapField, rewrite};
use super::media::MediaAsk;
use super::open_call::Pricing;
use super::provider::EndpointKind;

/// Tokens around each message, in an estimate.
const MESSAGE_TOKENS: u64 = 3;

/// Who must be covered, and how closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// Nobody: the call is counted when it ends.
    Nothing,
    /// Somebody who looks at settled spend only: a price is needed, a bound is not.
    Priced,
    /// The bound of the whole call is held.
    Whole,
    /// A stream's hold grows with its output.
    Growing,
}

/// What becomes of a stream's hold when it no longer covers what was served. Where there is no more room, the stream is
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUp {
    /// Nobody must cover the stream.
    Never,
    /// It grows by so much ahead of what is thought to have been served.
    Ahead(Money),
    /// It covers the whole call; a provider that certainly served more is paid for in such steps.
    Overrun(Money),
}

/// The terms on which a call is sent.
pub struct Quote {
    pub pricing: Pricing,
    pub claim: Claim,
    pub top_up: TopUp,
    /// The cap that was set because the call had none.
    pub output_cap: Option<u64>,
    pub body: Bytes,
}

/// What a quote depends on besides the call.
pub struct Terms<'a> {
    pub settings: Option<&'a KeySettings>,
    pub wallet_must_cover: bool,
    pub price: Option<std::sync::Arc<ModelPrice>>,
    /// What a call for images or sound asks for.
    pub media: Option<&'a MediaAsk>,
    pub endpoint: EndpointKind,
    pub cap_field: OutputCapField,
    pub takes_stream_options: bool,
    /// The model's name at the provider, where it is not what the body says.
    pub model: Option<&'a str>,
    pub default_output_cap: u64,
    pub slice_tokens: u64,
    pub calibration: &'a Calibration,
}

/// Works out the terms of a call.
pub fn quote(shape: &CallShape, body: &Bytes, terms: Terms<'_>) -> Result<Quote, Refusal> {
    let cover = cover(shape, &terms);
    let include_usage = shape.stream && terms.takes_stream_options && !shape.include_usage;
    let pricing = Pricing {
        price: terms.price.clone(),
        service_tier: shape.service_tier,
        input_estimate_tokens: input_estimate(shape, &terms),
        text_bytes: shape.only_text_bytes().filter(|_| terms.media.is_none()),
        media: terms.media.map(|ask| ask.estimate(terms.price.as_deref())),
    };
    let held = match (cover, &terms.price) {
        (Cover::Nothing, _) => Held::default(),
        (Cover::Priced, Some(_)) => Held::default(),
        (Cover::Priced | Cover::Whole | Cover::Growing, None) => {
            return Err(Refusal::PriceUnknown(shape.model.clone()));
        }
        (Cover::Whole, Some(price)) => whole(shape, price, &terms)?,
        (Cover::Growing, Some(price)) => growing(shape, price, &terms)?,
    };
    let changes = Changes {
        include_usage,
        output_cap: held.write_cap.map(|cap| (terms.cap_field, cap)),
        model: terms.model,
    };
    let body = rewrite(body, shape, changes);
    Ok(Quote {
        pricing,
        claim: held.claim,
        top_up: held.top_up,
        output_cap: held.injected,
        body,
    })
}

impl Quote {
    /// The terms of a call of which nothing is read and nothing is charged.
    pub fn free(body: Bytes) -> Self {
        let pricing = Pricing {
            price: None,
            service_tier: Default::default(),
            input_estimate_tokens: 0,
            text_bytes: None,
            media: None,
        };
        let Held {
            claim,
            top_up,
            injected: output_cap,
            ..
        } = Held::default();
        Self {
            pricing,
            claim,
            top_up,
            output_cap,
            body,
        }
    }
}

struct Held {
    claim: Claim,
    top_up: TopUp,
    /// To be written into the provider's field.
    write_cap: Option<u64>,
    injected: Option<u64>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            claim: Claim::exactly(Money::ZERO),
            top_up: TopUp::Never,
            write_cap: None,
            injected: None,
        }
    }
}

/// How closely the payers are covered; `None` where nobody must be.
fn enforcement(settings: Option<&KeySettings>, wallet_must_cover: bool) -> Option<Enforcement> {
    let key = settings.filter(|settings| settings.must_cover());
    match (key.map(|settings| settings.enforcement), wallet_must_cover) {
        (Some(Enforcement::Soft | Enforcement::Observe) | None, true) => Some(Enforcement::Adaptive),
        (enforcement, _) => enforcement,
    }
}

/// Whether a call without a bound is refused.
pub fn needs_bound(settings: Option<&KeySettings>, wallet_must_cover: bool) -> bool {
    match enforcement(settings, wallet_must_cover) {
        Some(Enforcement::Adaptive | Enforcement::Strict) => true,
        Some(Enforcement::Soft | Enforcement::Observe) | None => false,
    }
}

fn cover(shape: &CallShape, terms: &Terms<'_>) -> Cover {
    let Some(enforcement) = enforcement(terms.settings, terms.wallet_must_cover) else {
        return Cover::Nothing;
    };
    match enforcement {
        Enforcement::Adaptive if shape.stream && terms.media.is_none() && !hides_output(shape, terms) => Cover::Growing,
        Enforcement::Adaptive | Enforcement::Strict => Cover::Whole,
        Enforcement::Soft => Cover::Priced,
        Enforcement::Observe => Cover::Nothing,
    }
}

/// Whether the model may think without showing it: then what has been seen does not say what has been spent.
fn hides_output(shape: &CallShape, terms: &Terms<'_>) -> bool {
    match terms.price.as_ref().map(|price| price.hidden_output) {
        Some(HiddenOutput::Always) => true,
        Some(HiddenOutput::OnRequest) => shape.may_think,
        Some(HiddenOutput::Never) | None => false,
    }
}

/// Holds the upper bound of the whole call, setting a cap where it has none.
fn whole(shape: &CallShape, price: &ModelPrice, terms: &Terms<'_>) -> Result<Held, Refusal> {
    if let Some(ask) = terms.media {
        if let Some(field) = shape.unbounded {
            return Err(Refusal::CostUnbounded(field));
        }
        let most = ask.upper_bound(price).ok_or(Refusal::CostUnbounded("model"))?;
        return Ok(Held {
            claim: Claim::exactly(most.map_err(|_| Refusal::CostUnbounded("n"))?),
            ..Held::default()
        });
    }
    if terms.endpoint == EndpointKind::Embeddings {
        return Ok(Held {
            claim: Claim::exactly(upper_bound(shape, price, 0)?),
            ..Held::default()
        });
    }
    let most = price.max_output_tokens.unwrap_or(u64::MAX);
    let (cap, write_cap, injected) = match shape.output_cap(terms.cap_field) {
        OutputCap::Honoured(cap) => (cap.min(most), None, None),
        OutputCap::Elsewhere(cap) => (cap.min(most), Some(cap), None),
        OutputCap::Absent => {
            let cap = most.min(terms.default_output_cap);
            (cap, Some(cap), Some(cap))
        }
    };
    let amount = upper_bound(shape, price, cap)?;
    let slice = upper_bound(shape, price, terms.slice_tokens)?.saturating_sub(upper_bound(shape, price, 0)?);
    Ok(Held {
        claim: Claim::exactly(amount),
        top_up: TopUp::Overrun(slice),
        write_cap,
        injected,
    })
}

/// Holds the input's bound and a slice of output, which the pump tops up.
fn growing(shape: &CallShape, price: &ModelPrice, terms: &Terms<'_>) -> Result<Held, Refusal> {
    let input = upper_bound(shape, price, 0)?;
    let first = upper_bound(shape, price, terms.slice_tokens)?;
    let least = upper_bound(shape, price, 1)?;
    let slice = first.saturating_sub(input);
    Ok(Held {
        claim: Claim {
            minimum: least,
            wanted: first,
        },
        top_up: TopUp::Ahead(slice),
        write_cap: None,
        injected: None,
    })
}

fn upper_bound(shape: &CallShape, price: &ModelPrice, output_tokens: u64) -> Result<Money, Refusal> {
    if let Some(field) = shape.unbounded {
        return Err(Refusal::CostUnbounded(field));
    }
    let bound: Bound = shape
        .bound(price.max_input_tokens, output_tokens)
        .ok_or(Refusal::CostUnbounded("messages"))?;
    price
        .upper_bound(&bound)
        .map_err(|_| Refusal::CostUnbounded("max_tokens"))
}

fn input_estimate(shape: &CallShape, terms: &Terms<'_>) -> u64 {
    let model = terms.price.as_ref().map_or("", |price| &price.id);
    terms.calibration.estimate(model, shape.text_bytes) + MESSAGE_TOKENS * shape.message_count
}
