//! One admitted call while it runs: its record in the journal, its holds, and the one way it ends. Whoever drops it
//! without settling (a panic, a task that was cut) settles it by estimate, so that no path loses a billable call or
//! leaves a hold behind.

use std::sync::Arc;

use crate::domain::ids::{MerchantId, RequestId, WalletId};
use crate::domain::money::Money;
use crate::domain::price::{ModelPrice, ServiceTier};
use crate::domain::request::{Charge, Outcome, Settlement, UsageSource};
use crate::domain::room::Claim;
use crate::domain::usage::Usage;
use crate::engine::accounts::{AccountHold, Accounts};
use crate::engine::answers::Answers;
use crate::engine::clock::Clock;
use crate::engine::journal::{Lane, Written};
use crate::engine::metrics::{Metrics, Payer};
use crate::engine::spend::HoldGuard;

use super::billing::Metering;
use super::calibration::Calibration;
use super::live_call::{EndedBy, EndedCall};
use super::roster::Listed;
use super::watch::{Ended, Watch};

/// How a call is priced, fixed when it is admitted.
#[derive(Clone, Debug)]
pub struct Pricing {
    /// `None`: the model has no price, and nobody has to cover it.
    pub price: Option<Arc<ModelPrice>>,
    pub service_tier: ServiceTier,
    /// What the input is thought to come to, for a call whose provider never says.
    pub input_estimate_tokens: u64,
    /// The bytes of an input of nothing but text, to learn from what the provider makes of them.
    pub text_bytes: Option<u64>,
    /// What a call for images or sound is thought to use, which its output says nothing of.
    pub media: Option<Usage>,
}

impl Pricing {
    /// The cost of a usage, and the shares of input and output in it.
    pub fn cost(&self, usage: &Usage, tier: Option<ServiceTier>) -> Costs {
        let Some(price) = &self.price else {
            return Costs::default();
        };
        let tier = tier.unwrap_or(self.service_tier);
        let amount = |usage: &Usage| price.cost(usage, tier).unwrap_or(Money::MAX);
        let total = amount(usage);
        let input = amount(&usage.without_output()).min(total);
        Costs {
            total,
            input,
            output: total.saturating_sub(input),
        }
    }

    /// What the input is thought to cost, and the price of a million output tokens, for a settlement after a crash.
    pub fn forecast(&self) -> (Money, i64) {
        let Some(price) = &self.price else {
            return (Money::ZERO, 0);
        };
        let input = self.cost(&self.estimate(0), None).total;
        let million = Usage {
            output_tokens: 1_000_000,
            ..Usage::default()
        };
        let output = price.cost(&million, self.service_tier).unwrap_or(Money::MAX);
        (input, output.nanos())
    }

    /// Learns from what the provider reported.
    pub fn teach(&self, calibration: &Calibration, usage: &Usage) {
        if let (Some(price), Some(text_bytes)) = (&self.price, self.text_bytes) {
            calibration.learn(&price.id, text_bytes, usage.total_input());
        }
    }

    /// The usage of a call whose provider did not say, with so many output tokens served.
    pub fn estimate(&self, output_tokens: u64) -> Usage {
        self.media.unwrap_or(Usage {
            input_tokens: self.input_estimate_tokens,
            output_tokens,
            ..Usage::default()
        })
    }
}

/// A cost and its shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    pub total: Money,
    pub input: Money,
    pub output: Money,
}

/// How a call ended, as far as the caller of [`OpenCall::settle`] knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub outcome: Outcome,
    pub http_status: u16,
    pub usage: Usage,
    pub usage_source: UsageSource,
    /// The tier that served it, where the answer says so.
    pub service_tier: Option<ServiceTier>,
    pub response_id: String,
}

impl Ending {
    /// The provider served nothing.
    pub fn nothing(http_status: u16) -> Self {
        Self {
            outcome: Outcome::Error,
            http_status,
            usage: Usage::default(),
            usage_source: UsageSource::None,
            service_tier: None,
            response_id: String::new(),
        }
    }
}

/// What a running call owns.
pub struct OpenCall {
    pub id: RequestId,
    pub pricing: Pricing,
    pub(super) wallet_id: WalletId,
    pub(super) lane: Lane,
    pub(super) clock: Clock,
    pub(super) accounts: Accounts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hold: Option<HoldGuard>,
    pub(super) account_hold: Option<AccountHold>,
    /// The customer who is charged, and what is held of his credit.
    pub(super) metering: Option<Box<Metering>>,
    /// Whether the caller's own credential pays the provider: then the wallet does not.
    pub(super) wallet_pays: bool,
    pub(super) admitted_at_ms: i64,
    /// When the first token came, in milliseconds after the admission.
    pub(super) first_token_ms: Option<u32>,
    /// The call as others see it, with the output tokens counted so far, for the estimate of a call that is dropped.
    pub(super) live: Listed,
    /// Where the answer's owner is noted, of answers that OpenAI keeps under the operator's account.
    pub(super) answers: Option<(Arc<Answers>, MerchantId)>,
    pub(super) watch: Watch,
    pub(super) settled: bool,
}

impl OpenCall {
    /// What is held for the call: the smaller of the key's hold and the account's; `None` where nobody must cover it.
    pub fn held(&self) -> Option<Money> {
        let key = self.hold.as_ref().map(|guard| guard.hold().amount);
        let account = self.account_hold.as_ref().map(AccountHold::amount);
        match (key, account) {
            (Some(key), Some(account)) => Some(key.min(account)),
            (key, account) => key.or(account),
        }
    }

    /// Tells the figures what is held now.
    pub(super) fn show_holds(&mut self) {
        let key = self.hold.as_ref().map(|guard| guard.hold().amount);
        let wallet = self.account_hold.as_ref().map(AccountHold::amount);
        let customer = self.metering.as_ref().map(|metering| metering.held());
        for (payer, held) in [
            (Payer::SpendKey, key),
            (Payer::Wallet, wallet),
            (Payer::Customer, customer),
        ] {
            self.watch.note_hold(payer, held.unwrap_or(Money::ZERO));
        }
        self.live.note_held(self.held());
    }

    /// Enlarges the holds until `needed` is covered, by `ahead` more where there is room; whether it is covered.
    pub async fn cover(&mut self, needed: Money, ahead: Money) -> bool {
        let covered = self.extend_holds(needed, ahead).await;
        self.show_holds();
        covered
    }

    async fn extend_holds(&mut self, needed: Money, ahead: Money) -> bool {
        let claim = |held: Money| {
            let minimum = needed.saturating_sub(held).or_zero();
            Claim {
                minimum,
                wanted: minimum.saturating_add(ahead),
            }
        };
        if let Some(hold) = &mut self.hold
            && hold.hold().amount < needed
            && hold.extend(claim(hold.hold().amount)).await.is_err()
        {
            return false;
        }
        if let Some(hold) = &mut self.account_hold
            && hold.amount() < needed
            && hold.extend(claim(hold.amount())).await.is_err()
        {
            return false;
        }
        true
    }

    /// Enlarges the hold of the customer's credit until this usage is covered; whether it is.
    pub async fn cover_charge(&mut self, usage: &Usage, cost: Money) -> bool {
        let Some(metering) = &mut self.metering else {
            return true;
        };
        let covered = metering.cover(metering.used_so_far(usage, cost)).await;
        self.show_holds();
        covered
    }

    /// Notes how many output tokens a stream has served, and when the first of them came.
    pub fn serve(&mut self, tokens: u64) {
        self.live.note_tokens(tokens);
        if tokens > 0 && self.first_token_ms.is_none() {
            let took_ms = self.clock.wall_ms().saturating_sub(self.admitted_at_ms);
            self.first_token_ms = Some(u32::try_from(took_ms.max(0)).unwrap_or(u32::MAX));
        }
    }

    /// Records how far a stream has come.
    pub fn record_progress(&self) {
        self.lane.write_progress(self.id, self.live.served_tokens());
    }

    /// Ends the call: the customer's charge first, then the record, then the holds. It must not be cancelled.
    pub async fn settle(mut self, ending: Ending) -> (Written, Costs) {
        let costs = self.costs(&ending);
        let charge = match self.metering.take() {
            Some(metering) => {
                let used = metering.used(&ending, costs.total);
                metering.settle(used).await
            }
            None => None,
        };
        (self.end(ending, costs, charge), costs)
    }

    fn count(&self, ending: &Ending) {
        match ending.outcome {
            Outcome::Completed => self.metrics.requests_completed.add(1),
            Outcome::Error => self.metrics.requests_failed.add(1),
        }
        match ending.usage_source {
            UsageSource::Estimated | UsageSource::Partial | UsageSource::CrashEstimate => {
                self.metrics.usage_estimated.add(1)
            }
            UsageSource::Provider | UsageSource::None | UsageSource::Reported => {}
        }
    }

    fn costs(&self, ending: &Ending) -> Costs {
        let costs = self.pricing.cost(&ending.usage, ending.service_tier);
        match ending.usage_source {
            UsageSource::Estimated | UsageSource::Partial => {
                costs.at_most(self.held().filter(|held| *held > Money::ZERO))
            }
            UsageSource::Provider | UsageSource::CrashEstimate | UsageSource::None | UsageSource::Reported => costs,
        }
    }

    fn end(&mut self, ending: Ending, costs: Costs, charge: Option<Charge>) -> Written {
        self.settled = true;
        self.count(&ending);
        self.watch.end(Ended {
            id: self.id,
            ending: &ending,
            costs,
            is_priced: self.pricing.price.is_some(),
        });
        if let Some((answers, merchant)) = self.answers.take()
            && !ending.response_id.is_empty()
        {
            answers.note(merchant, &ending.response_id);
        }
        let ended = EndedCall {
            by: EndedBy::Itself,
            cost: costs.total,
            output_tokens: ending.usage.output_tokens,
            usage_source: ending.usage_source,
        };
        let finished_at_ms = self.clock.wall_ms();
        let written = self.lane.write_settle(&Settlement {
            id: self.id,
            outcome: ending.outcome,
            usage_source: ending.usage_source,
            http_status: ending.http_status,
            usage: ending.usage,
            cost: costs.total,
            input_cost: costs.input,
            output_cost: costs.output,
            finished_at_ms,
            first_token_ms: self.first_token_ms,
            response_id: ending.response_id,
            charge,
        });
        if let Some(hold) = self.hold.take() {
            hold.settle(costs.total);
        }
        match self.account_hold.take() {
            Some(hold) => hold.settle(costs.total),
            None if self.wallet_pays => self.accounts.charge(self.wallet_id, costs.total),
            None => {}
        }
        self.live.ended(ended, finished_at_ms);
        written
    }
}

impl Costs {
    /// An estimate never exceeds what was held for it.
    fn at_most(self, bound: Option<Money>) -> Self {
        let Some(bound) = bound else { return self };
        let total = self.total.min(bound);
        let input = self.input.min(total);
        Self {
            total,
            input,
            output: total.saturating_sub(input),
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.settled {
            let usage = self.pricing.estimate(self.live.served_tokens());
            let ending = Ending {
                usage,
                usage_source: UsageSource::Estimated,
                ..Ending::nothing(500)
            };
            let costs = self.costs(&ending);
            let charge = self.metering.take().and_then(|metering| {
                let used = metering.used(&ending, costs.total);
                metering.book(used)
            });
            self.end(ending, costs, charge);
        }
    }
}
