//! Customers in line: whose meter a call is counted on, what of his credit is held for it, and what it is charged. The
//! quantities of a meter are bounded as costs are, from the bytes that will be sent. It fails closed: a call whose
//! charge cannot be bounded is not sent.

use std::sync::Arc;

use crate::domain::customer_account::Tally;
use crate::domain::ids::CustomerId;
use crate::domain::meter::{Meter, Metered, RateType, TierType};
use crate::domain::money::Money;
use crate::domain::price::Bound;
use crate::domain::request::{self, Charge, ChargeForecast, Outcome, UsageSource};
use crate::domain::room::Claim;
use crate::domain::usage::Usage;
use crate::engine::customer_accounts::{CreditAsk, CreditHold, CustomerAccounts, Whose};

use super::open_call::{Ending, Pricing};
use super::{Caller, Refusal, Worker};

/// On whose account a call is counted beside its caller's.
#[derive(Clone, Debug)]
pub struct Billing {
    pub meter: Arc<Meter>,
    pub payer: MeterPayer,
}

/// Who pays what the meter charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterPayer {
    /// Nobody: usage is only counted on the meter.
    Nobody,
    /// Nobody, though it is a customer's usage.
    NobodyFor(CustomerId),
    Customer(CustomerId),
}

impl Billing {
    pub fn customer_id(&self) -> Option<CustomerId> {
        match self.payer {
            MeterPayer::Nobody => None,
            MeterPayer::NobodyFor(customer) | MeterPayer::Customer(customer) => Some(customer),
        }
    }

    /// The meter by which somebody is charged.
    pub fn charges(&self) -> Option<&Meter> {
        match self.payer {
            MeterPayer::Customer(_) => Some(&self.meter),
            MeterPayer::Nobody | MeterPayer::NobodyFor(_) => None,
        }
    }
}

/// Which bound a meter needs before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// None: each call counts the same.
    Calls,
    /// Of what goes in and comes out.
    Quantity,
    /// Of what the provider takes.
    Cost,
}

impl Measure {
    pub fn of(meter: &Meter) -> Self {
        match (meter.rate_type, meter.tier_type) {
            (RateType::Percentage, _) => Self::Cost,
            (RateType::Fixed, TierType::Requests) => Self::Calls,
            (RateType::Fixed, TierType::Tokens | TierType::Characters | TierType::Minutes) => Self::Quantity,
        }
    }
}

/// The quantity of a usage in the units of the meter; seconds are rounded half up.
pub fn quantity(tier_type: TierType, usage: &Usage) -> u64 {
    match tier_type {
        TierType::Tokens => usage.total(),
        TierType::Characters => usage.characters,
        TierType::Minutes => (usage.audio_ms.saturating_add(usage.output_audio_ms)).saturating_add(500) / 1000,
        TierType::Requests => 1,
    }
}

/// The most that a call within the bound can count.
pub fn most(tier_type: TierType, bound: &Bound) -> u64 {
    match tier_type {
        TierType::Tokens => bound.input_tokens.saturating_add(bound.output_tokens),
        TierType::Characters => bound.characters,
        TierType::Minutes => bound.audio_ms.saturating_add(bound.output_audio_ms).div_ceil(1000),
        TierType::Requests => 1,
    }
}

/// The most of a usage that is itself a bound.
pub fn most_of(tier_type: TierType, usage: &Usage) -> u64 {
    match tier_type {
        TierType::Minutes => usage.audio_ms.saturating_add(usage.output_audio_ms).div_ceil(1000),
        TierType::Tokens | TierType::Characters | TierType::Requests => quantity(tier_type, usage),
    }
}

/// What a quote asks of the customer's credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterClaim {
    /// What the call may use before it asks for more.
    pub least: Metered,
    pub wanted: Metered,
    /// In what steps a stream asks for more.
    pub ahead: Metered,
}

/// What a running call owns of its customer.
pub struct Metering {
    meter: Arc<Meter>,
    hold: CreditHold,
    ahead: Metered,
    /// The usage up to which the hold is known to suffice.
    covered: Metered,
}

impl Metering {
    /// Sets aside what the customer may be charged; `None` where he is not.
    pub(super) async fn reserve(worker: &Worker, caller: &Caller, claim: MeterClaim) -> Result<Option<Self>, Refusal> {
        let Some(billing) = caller.billing.as_deref() else {
            return Ok(None);
        };
        let whose = |customer_id| Whose {
            customer_id,
            merchant_id: caller.merchant.id,
        };
        match billing.payer {
            MeterPayer::Nobody => Ok(None),
            MeterPayer::NobodyFor(customer) => {
                let entitled = worker.customer_accounts().entitle(whose(customer), billing.meter.id);
                entitled.await.map(|()| None).map_err(Refusal::Credit)
            }
            MeterPayer::Customer(customer) => {
                let held = hold(worker.customer_accounts(), whose(customer), &billing.meter, claim);
                held.await.map(Some)
            }
        }
    }

    /// Enlarges the hold until this usage is covered; whether it is.
    pub(super) async fn cover(&mut self, used: Metered) -> bool {
        if used.quantity <= self.covered.quantity && used.provider_cost <= self.covered.provider_cost {
            return true;
        }
        let from = self.hold.tally().quantity;
        let further = Metered {
            quantity: used.quantity.saturating_add(self.ahead.quantity),
            provider_cost: used.provider_cost.saturating_add(self.ahead.provider_cost),
        };
        let bound = |used| self.meter.upper_bound(from, used);
        let (Ok(needed), Ok(wanted)) = (bound(used), bound(further)) else {
            return false;
        };
        let held = self.hold.amount();
        if needed > held {
            let claim = Claim {
                minimum: needed.saturating_sub(held),
                wanted: wanted.saturating_sub(held),
            };
            if self.hold.extend(claim).await.is_err() {
                return false;
            }
        }
        self.covered = if self.hold.amount() >= wanted { further } else { used };
        true
    }

    /// What is held of the customer's credit.
    pub(super) fn held(&self) -> Money {
        self.hold.amount()
    }

    /// What a call used, as its meter counts it.
    pub(super) fn used(&self, ending: &Ending, cost: Money) -> Metered {
        let was_served = ending.outcome == Outcome::Completed || ending.usage_source != UsageSource::None;
        Metered {
            quantity: if was_served {
                quantity(self.meter.tier_type, &ending.usage)
            } else {
                0
            },
            provider_cost: cost,
        }
    }

    /// What a usage so far comes to, as its meter counts it.
    pub(super) fn used_so_far(&self, usage: &Usage, cost: Money) -> Metered {
        Metered {
            quantity: quantity(self.meter.tier_type, usage),
            provider_cost: cost,
        }
    }

    /// Charges the usage. `None` where nothing was used.
    pub(super) async fn settle(self, used: Metered) -> Option<Charge> {
        if used == Metered::default() {
            return None;
        }
        self.hold.settle(self.meter, used).await
    }

    /// Charges the usage at once, by what the customer had used when the call was admitted.
    pub(super) fn book(self, used: Metered) -> Option<Charge> {
        if used == Metered::default() {
            return None;
        }
        let charge = self.hold.tally().charge(&self.meter, used, self.hold.amount());
        self.hold.book(&self.meter, charge.clone());
        Some(charge)
    }

    /// Enough to charge the call after a crash.
    fn forecast(&self, pricing: &Pricing) -> ChargeForecast {
        let Tally {
            period_start_s,
            quantity: from,
        } = self.hold.tally();
        let usage = pricing.estimate(0);
        let cost = pricing.cost(&usage, None).total;
        let used = self.used_so_far(&usage, cost);
        let counts_output = self.meter.tier_type == TierType::Tokens;
        let (_, output_nanos) = pricing.forecast();
        let after_input = from.saturating_add(used.quantity);
        // So few that they lie in the tier that comes next, as those of a usual answer do.
        let thousand = Metered {
            quantity: if counts_output { 1_000 } else { 0 },
            provider_cost: Money::from_nanos(output_nanos / 1_000),
        };
        let charged = |from, used| {
            self.meter
                .charge(from, used)
                .map_or(Money::ZERO, |charge| charge.amount)
        };
        ChargeForecast {
            base: charged(from, used),
            output_nanos_per_million: charged(after_input, thousand).nanos().saturating_mul(1_000),
            input_quantity: used.quantity,
            counts_output: counts_output.into(),
            period_start_s,
        }
    }
}

async fn hold(
    accounts: &CustomerAccounts,
    whose: Whose,
    meter: &Arc<Meter>,
    claim: MeterClaim,
) -> Result<Metering, Refusal> {
    let ask = CreditAsk {
        meter: meter.clone(),
        bound: claim.wanted,
        least: claim.least,
    };
    let hold = accounts.reserve(whose, ask).await.map_err(Refusal::Credit)?;
    let is_whole = meter
        .upper_bound(hold.tally().quantity, claim.wanted)
        .is_ok_and(|wanted| hold.amount() >= wanted);
    Ok(Metering {
        meter: meter.clone(),
        hold,
        ahead: claim.ahead,
        covered: if is_whole { claim.wanted } else { claim.least },
    })
}

/// What the record of an admitted call says of its meter.
pub(super) fn record(caller: &Caller, metering: Option<&Metering>, pricing: &Pricing) -> Option<request::Metered> {
    let billing = caller.billing.as_deref()?;
    Some(request::Metered {
        meter_id: billing.meter.id,
        customer_id: billing.customer_id(),
        caller_id: String::new(),
        forecast: metering.map(|metering| metering.forecast(pricing)),
    })
}
