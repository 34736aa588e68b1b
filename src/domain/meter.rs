//! Meters: what a customer pays for his usage, in graduated tiers over the quantity that he has used in a cycle.
//! A charge is the difference of two cumulative amounts, each one `i128` sum, one division and one rounding (half up),
//! so any split of the same usage totals the same. Percentage meters charge a part of what the provider took.
//! Overflow is an error, never a wrap; nothing here knows customers or cycles, the caller brings the quantity so far.

use super::ids::MeterId;
use super::money::Money;
use super::words::words;

/// The most tiers that a meter may have.
pub const MOST_TIERS: usize = 100;
/// The highest threshold: the largest number that every JSON reader keeps exact.
pub const HIGHEST_START: u64 = (1 << 53) - 1;
/// Rates of percentage meters have nine decimals, as amounts do, and are of a hundred.
const PERCENT_UNITS: i128 = 100_000_000_000;

words! {
    /// What a rate is: an amount for a unit, or hundredths of the provider's cost.
    RateType { Fixed = "fixed", Percentage = "percentage" }
    /// What a meter counts.
    TierType { Tokens = "tokens_1m", Characters = "characters_1m", Minutes = "minutes", Requests = "requests" }
}

impl TierType {
    /// How much of the counted quantity one rate is for. Minutes are counted in seconds.
    pub const fn units_per_rate(self) -> u64 {
        match self {
            Self::Tokens | Self::Characters => 1_000_000,
            Self::Minutes => 60,
            Self::Requests => 1,
        }
    }

    /// How much of the counted quantity one step of a threshold is.
    pub const fn units_per_start(self) -> u64 {
        match self {
            Self::Tokens | Self::Characters | Self::Requests => 1,
            Self::Minutes => 60,
        }
    }
}

/// A rate, and the quantity from which on it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// In tokens, characters, minutes or requests.
    pub start: u64,
    /// Dollars per 1,000,000 tokens or characters, per minute or per request; of a percentage meter the percentage, so
    /// that `10.00` is ten percent.
    pub rate: Money,
}

/// The tiers of a meter: at least one, the first from zero, each from above the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers(Vec<Tier>);

/// Why tiers cannot be a meter's; the number is the place of the tier that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TiersError {
    #[error("must have at least one tier")]
    None,
    #[error("must have at most {MOST_TIERS} tiers")]
    TooMany,
    #[error("must be \"0\" in the first tier")]
    NotFromZero,
    #[error("must be above the start of the tier before")]
    NotAscending(usize),
    #[error("must be at most {HIGHEST_START}")]
    TooHigh(usize),
    #[error("must not be negative")]
    NegativeRate(usize),
}

impl TiersError {
    /// The field that is wrong, such as `tiers[1].start`.
    pub fn param(self) -> String {
        match self {
            Self::None | Self::TooMany => "tiers".to_owned(),
            Self::NotFromZero => "tiers[0].start".to_owned(),
            Self::NotAscending(place) | Self::TooHigh(place) => format!("tiers[{place}].start"),
            Self::NegativeRate(place) => format!("tiers[{place}].rate"),
        }
    }
}

impl Tiers {
    pub fn new(tiers: Vec<Tier>) -> Result<Self, TiersError> {
        match tiers.first() {
            None => return Err(TiersError::None),
            Some(first) if first.start != 0 => return Err(TiersError::NotFromZero),
            Some(_) if tiers.len() > MOST_TIERS => return Err(TiersError::TooMany),
            Some(_) => {}
        }
        for (place, tier) in tiers.iter().enumerate() {
            if place > 0 && tiers[place - 1].start >= tier.start {
                return Err(TiersError::NotAscending(place));
            }
            if tier.start > HIGHEST_START {
                return Err(TiersError::TooHigh(place));
            }
            if tier.rate < Money::ZERO {
                return Err(TiersError::NegativeRate(place));
            }
        }
        Ok(Self(tiers))
    }

    pub fn as_slice(&self) -> &[Tier] {
        &self.0
    }
}

/// A price list for customers' usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    pub id: MeterId,
    /// What a forward token and a report name it by; unique among a merchant's meters.
    pub slug: String,
    pub name: String,
    pub rate_type: RateType,
    pub tier_type: TierType,
    pub tiers: Tiers,
}

/// What callers name a meter by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeterName {
    Id(MeterId),
    Slug(String),
}

impl From<&str> for MeterName {
    /// What is no id of a meter is a slug; no slug is taken that reads as an id.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Slug(text.to_owned()), Self::Id)
    }
}

/// Usage as a meter sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// Tokens, characters, seconds or requests, by the meter's tier type.
    pub quantity: u64,
    /// What the provider took for it; only percentage meters look at it.
    pub provider_cost: Money,
}

/// What a customer pays for a usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub amount: Money,
    /// One for each tier that the usage lies in, lowest first; their costs add up to the amount exactly.
    pub parts: Vec<ChargePart>,
}

/// The part of a usage that lies in one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargePart {
    pub tier: Tier,
    /// In the units of [`Metered::quantity`].
    pub quantity: u64,
    pub cost: Money,
}

/// The amount, or the quantity so far, does not fit its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the charge for this usage is too large to be an amount")]
pub struct ChargeOverflow;

/// How a sum of quantities times rates becomes nano-dollars.
struct Scale {
    /// What the sum was before this usage.
    before: i128,
    factor: i128,
    divisor: i128,
}

impl Meter {
    /// What `added` costs a customer who has used `from` in his cycle so far.
    /// A fixed meter charges the difference of the cumulative amounts after and before. A percentage meter shares the
    /// provider's cost by quantity among the tiers that the usage lies in and takes the rate of each from its share;
    /// usage that counts nothing has the rate of the tier that comes next.
    pub fn charge(&self, from: u64, added: Metered) -> Result<Charge, ChargeOverflow> {
        let (scale, quantity) = match self.rate_type {
            RateType::Fixed => (self.fixed_scale(from), added.quantity),
            RateType::Percentage => percentage_scale(added),
        };
        let to = from.checked_add(quantity).ok_or(ChargeOverflow)?;
        let (mut sum, mut parts) = (scale.before, Vec::new());
        let first = scale.round_half_up(sum)?;
        let mut last = first;
        for (tier, quantity) in self.pieces(from, to) {
            let piece = i128::from(quantity) * i128::from(tier.rate.nanos());
            let piece = piece.checked_mul(scale.factor).ok_or(ChargeOverflow)?;
            sum = sum.checked_add(piece).ok_or(ChargeOverflow)?;
            let next = scale.round_half_up(sum)?;
            parts.push(ChargePart {
                tier,
                quantity: quantity.min(added.quantity),
                cost: amount(next - last)?,
            });
            last = next;
        }
        let amount = amount(last - first)?;
        Ok(Charge { amount, parts })
    }

    /// At least the charge of any usage within `bound`, by whatever the quantity grows beyond `from` before it counts:
    /// other calls of the customer may end first. It holds for this cycle; for the next as well where `from` is zero.
    pub fn upper_bound(&self, from: u64, bound: Metered) -> Result<Money, ChargeOverflow> {
        let reachable = self.tiers.0.iter().enumerate();
        let reachable = reachable.filter(|(place, _)| self.end_of(*place) > from);
        let rate = reachable.map(|(_, tier)| tier.rate).max().unwrap_or(Money::ZERO);
        let (units, divisor) = match self.rate_type {
            RateType::Fixed => (i128::from(bound.quantity), self.tier_type.units_per_rate().into()),
            RateType::Percentage => (bound.provider_cost.nanos().into(), PERCENT_UNITS),
        };
        // Rounded up: two cumulative amounts that are each rounded half up differ by no more than this.
        let sum = units * i128::from(rate.nanos());
        amount(sum.checked_add(divisor - 1).ok_or(ChargeOverflow)?.div_euclid(divisor))
    }

    fn fixed_scale(&self, from: u64) -> Scale {
        let products = self.pieces(0, from);
        let products = products.map(|(tier, quantity)| i128::from(quantity) * i128::from(tier.rate.nanos()));
        Scale {
            // Cannot overflow: the quantities add up to 64 bits, and a rate has 63.
            before: products.sum(),
            factor: 1,
            divisor: self.tier_type.units_per_rate().into(),
        }
    }

    /// The tiers that the quantity between two points lies in, and how much of it lies in each.
    fn pieces(&self, from: u64, to: u64) -> impl Iterator<Item = (Tier, u64)> {
        let tiers = self.tiers.0.iter().enumerate();
        let pieces = tiers.map(move |(place, tier)| {
            let start = tier.start.saturating_mul(self.tier_type.units_per_start());
            (*tier, to.min(self.end_of(place)).saturating_sub(from.max(start)))
        });
        pieces.filter(|(_, quantity)| *quantity > 0)
    }

    /// The quantity at which the next tier begins; the last one never ends.
    fn end_of(&self, place: usize) -> u64 {
        let next = self.tiers.0.get(place + 1);
        next.map_or(u64::MAX, |tier| {
            tier.start.saturating_mul(self.tier_type.units_per_start())
        })
    }
}

/// Quantities are shares of the cost here; usage that counts nothing is one share.
fn percentage_scale(added: Metered) -> (Scale, u64) {
    let shares = added.quantity.max(1);
    let scale = Scale {
        before: 0,
        factor: added.provider_cost.nanos().into(),
        divisor: i128::from(shares) * PERCENT_UNITS,
    };
    (scale, shares)
}

impl Scale {
    fn round_half_up(&self, sum: i128) -> Result<i128, ChargeOverflow> {
        let lifted = sum.checked_add(self.divisor / 2).ok_or(ChargeOverflow)?;
        Ok(lifted.div_euclid(self.divisor))
    }
}

fn amount(nanos: i128) -> Result<Money, ChargeOverflow> {
    i64::try_from(nanos).map(Money::from_nanos).map_err(|_| ChargeOverflow)
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
