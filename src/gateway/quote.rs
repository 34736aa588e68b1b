//! What a call may cost before it is sent: the claim on the payers' money, and what must change in its body so that the
//! claim holds. Computed from the bytes that will be sent, never from hopes: where a payer must be covered, a call
//! without a price or without a bound is refused.

use bytes::Bytes;

use crate::domain::key::{Enforcement, KeySettings};
use crate::domain::meter::{Meter, Metered, TierType};
use crate::domain::money::Money;
use crate::domain::price::{Bound, HiddenOutput, ModelPrice};
use crate::domain::room::Claim;

use super::Refusal;
use super::billing::{self, Measure, MeterClaim};
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
    pub meter_claim: MeterClaim,
    pub top_up: TopUp,
    /// The cap that was set because the call had none.
    pub output_cap: Option<u64>,
    pub body: Bytes,
}

/// What a quote depends on besides the call.
pub struct Terms<'a> {
    pub payers: Payers<'a>,
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

/// Who pays for a call, or looks at what it costs.
#[derive(Clone, Copy)]
pub struct Payers<'a> {
    pub settings: Option<&'a KeySettings>,
    pub wallet_must_cover: bool,
    /// That a customer is charged by.
    pub meter: Option<&'a Meter>,
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
        (Cover::Priced | Cover::Whole | Cover::Growing, None) if terms.payers.need_a_price() => {
            return Err(Refusal::PriceUnknown(shape.model.clone()));
        }
        (Cover::Priced, None) => Held::default(),
        (Cover::Whole, _) => whole(shape, &terms)?,
        (Cover::Growing, _) => growing(shape, &terms)?,
    };
    let held = held.with_calls(terms.payers.meter);
    let changes = Changes {
        include_usage,
        output_cap: held.write_cap.map(|cap| (terms.cap_field, cap)),
        model: terms.model,
    };
    let body = rewrite(body, shape, changes);
    Ok(Quote {
        pricing,
        claim: held.claim,
        meter_claim: held.meter_claim,
        top_up: held.top_up,
        output_cap: held.injected,
        body,
    })
}

impl Quote {
    /// The terms of a call of which nothing is read and nothing is charged.
    pub fn free(body: Bytes, meter: Option<&Meter>) -> Self {
        let pricing = Pricing {
            price: None,
            service_tier: Default::default(),
            input_estimate_tokens: 0,
            text_bytes: None,
            media: None,
        };
        let Held {
            claim,
            meter_claim,
            top_up,
            injected: output_cap,
            ..
        } = Held::default().with_calls(meter);
        Self {
            pricing,
            claim,
            meter_claim,
            top_up,
            output_cap,
            body,
        }
    }
}

struct Held {
    claim: Claim,
    meter_claim: MeterClaim,
    top_up: TopUp,
    /// To be written into the provider's field.
    write_cap: Option<u64>,
    injected: Option<u64>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            claim: Claim::exactly(Money::ZERO),
            meter_claim: MeterClaim::default(),
            top_up: TopUp::Never,
            write_cap: None,
            injected: None,
        }
    }
}

impl Held {
    /// A meter of requests counts a call whatever is known of it.
    fn with_calls(mut self, meter: Option<&Meter>) -> Self {
        if meter.is_some_and(|meter| meter.tier_type == TierType::Requests) {
            for metered in [&mut self.meter_claim.least, &mut self.meter_claim.wanted] {
                metered.quantity = 1;
            }
        }
        self
    }
}

impl Payers<'_> {
    /// How closely they are covered; `None` where nobody must be.
    fn enforcement(self) -> Option<Enforcement> {
        let key = self.settings.filter(|settings| settings.must_cover());
        let customer_must_cover = match self.meter.map(Measure::of) {
            Some(Measure::Quantity | Measure::Cost) => true,
            Some(Measure::Calls) | None => false,
        };
        let must_cover = self.wallet_must_cover || customer_must_cover;
        match (key.map(|settings| settings.enforcement), must_cover) {
            (Some(Enforcement::Soft | Enforcement::Observe) | None, true) => Some(Enforcement::Adaptive),
            (enforcement, _) => enforcement,
        }
    }

    /// Whether a call without a bound is refused.
    pub fn need_a_bound(self) -> bool {
        match self.enforcement() {
            Some(Enforcement::Adaptive | Enforcement::Strict) => true,
            Some(Enforcement::Soft | Enforcement::Observe) | None => false,
        }
    }

    /// Whether a call on a model without a price is refused: a meter of quantities needs none.
    fn need_a_price(self) -> bool {
        let of_quantities = |meter: &&Meter| Measure::of(meter) != Measure::Quantity;
        let others = Self {
            meter: self.meter.filter(of_quantities),
            ..self
        };
        match others.enforcement() {
            Some(Enforcement::Adaptive | Enforcement::Strict | Enforcement::Soft) => true,
            Some(Enforcement::Observe) | None => false,
        }
    }
}

fn cover(shape: &CallShape, terms: &Terms<'_>) -> Cover {
    let Some(enforcement) = terms.payers.enforcement() else {
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
fn whole(shape: &CallShape, terms: &Terms<'_>) -> Result<Held, Refusal> {
    if let Some(ask) = terms.media {
        return whole_media(shape, ask, terms);
    }
    if terms.endpoint == EndpointKind::Embeddings {
        return Ok(Held::exactly(upper_bound(shape, terms, 0)?));
    }
    let most = terms.price.as_ref().and_then(|price| price.max_output_tokens);
    let most = most.unwrap_or(u64::MAX);
    let (cap, write_cap, injected) = match shape.output_cap(terms.cap_field) {
        OutputCap::Honoured(cap) => (cap.min(most), None, None),
        OutputCap::Elsewhere(cap) => (cap.min(most), Some(cap), None),
        OutputCap::Absent => {
            let cap = most.min(terms.default_output_cap);
            (cap, Some(cap), Some(cap))
        }
    };
    let held = Held::exactly(upper_bound(shape, terms, cap)?);
    let slice = slice(shape, terms)?;
    Ok(Held {
        top_up: TopUp::Overrun(slice.provider_cost),
        write_cap,
        injected,
        meter_claim: MeterClaim {
            ahead: slice,
            ..held.meter_claim
        },
        ..held
    })
}

fn whole_media(shape: &CallShape, ask: &MediaAsk, terms: &Terms<'_>) -> Result<Held, Refusal> {
    let unbounded = || Refusal::CostUnbounded(shape.unbounded.unwrap_or("model"));
    let price = terms.price.as_ref().filter(|_| shape.unbounded.is_none());
    let price = price.ok_or_else(unbounded)?;
    let cost = ask.upper_bound(price).ok_or_else(unbounded)?;
    let quantity = terms.payers.meter.map_or(0, |meter| {
        let most = ask.most(price).into_iter();
        let most = most.map(|usage| billing::most_of(meter.tier_type, &usage));
        most.max().unwrap_or(0)
    });
    Ok(Held::exactly(Metered {
        quantity,
        provider_cost: cost.map_err(|_| Refusal::CostUnbounded("n"))?,
    }))
}

/// Holds the input's bound and a slice of output, which the pump tops up.
fn growing(shape: &CallShape, terms: &Terms<'_>) -> Result<Held, Refusal> {
    let least = upper_bound(shape, terms, 1)?;
    let wanted = upper_bound(shape, terms, terms.slice_tokens)?;
    let ahead = slice(shape, terms)?;
    Ok(Held {
        claim: Claim {
            minimum: least.provider_cost,
            wanted: wanted.provider_cost,
        },
        meter_claim: MeterClaim { least, wanted, ahead },
        top_up: TopUp::Ahead(ahead.provider_cost),
        write_cap: None,
        injected: None,
    })
}

impl Held {
    fn exactly(most: Metered) -> Self {
        Self {
            claim: Claim::exactly(most.provider_cost),
            meter_claim: MeterClaim {
                least: most,
                wanted: most,
                ahead: Metered::default(),
            },
            ..Self::default()
        }
    }
}

/// What a slice of output comes to.
fn slice(shape: &CallShape, terms: &Terms<'_>) -> Result<Metered, Refusal> {
    let (with, without) = (
        upper_bound(shape, terms, terms.slice_tokens)?,
        upper_bound(shape, terms, 0)?,
    );
    Ok(Metered {
        quantity: with.quantity.saturating_sub(without.quantity),
        provider_cost: with.provider_cost.saturating_sub(without.provider_cost),
    })
}

/// The most that the call uses with so many output tokens; it costs nothing where there is no price.
fn upper_bound(shape: &CallShape, terms: &Terms<'_>, output_tokens: u64) -> Result<Metered, Refusal> {
    if let Some(field) = shape.unbounded {
        return Err(Refusal::CostUnbounded(field));
    }
    let price = terms.price.as_ref();
    let bound: Bound = shape
        .bound(price.and_then(|price| price.max_input_tokens), output_tokens)
        .ok_or(Refusal::CostUnbounded("messages"))?;
    let provider_cost = price.map_or(Ok(Money::ZERO), |price| price.upper_bound(&bound));
    Ok(Metered {
        quantity: terms
            .payers
            .meter
            .map_or(0, |meter| billing::most(meter.tier_type, &bound)),
        provider_cost: provider_cost.map_err(|_| Refusal::CostUnbounded("max_tokens"))?,
    })
}

fn input_estimate(shape: &CallShape, terms: &Terms<'_>) -> u64 {
    let model = terms.price.as_ref().map_or("", |price| &price.id);
    terms.calibration.estimate(model, shape.text_bytes) + MESSAGE_TOKENS * shape.message_count
}
