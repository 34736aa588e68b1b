//! One admitted request from admission to its row: what is written when it opens, and what when it ends.

use super::ids::{CustomerId, MerchantId, MeterId, MovementId, RequestId, SpendKeyId, WalletId};
use super::money::Money;
use super::spend::Admission;
use super::usage::Usage;

/// Whose credential the provider was called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKeyType {
    /// The operator's: the wallet pays.
    Managed,
    /// The caller's, sent along with the call.
    Unmanaged,
    /// The merchant's, stored here.
    Stored,
}

/// Where the figures of a row come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider's own final figures.
    Provider,
    /// The provider's figures up to where its answer was cut.
    Partial,
    /// Our count of what was served.
    Estimated,
    /// Our count as of the last progress record before a crash.
    CrashEstimate,
    /// The provider served nothing.
    None,
    /// The merchant's word.
    Reported,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    Error,
}

macro_rules! codes {
    ($($name:ident { $($variant:ident = $code:literal $word:literal),+ $(,)? })*) => {$(
        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The byte in the journal.
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code),+ }
            }

            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// The word in the database and on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )*};
}

codes! {
    ProviderKeyType { Managed = 0 "managed", Unmanaged = 1 "unmanaged", Stored = 2 "stored" }
    UsageSource { Provider = 0 "provider", Partial = 1 "partial", Estimated = 2 "estimated", CrashEstimate = 3 "crash_estimate", None = 4 "none", Reported = 5 "reported" }
    Outcome { Completed = 0 "completed", Error = 1 "error" }
}

/// What is known of a request when it is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    pub id: RequestId,
    /// The first attempt of the same call; `None` for that one itself. The call counts once, with its first attempt.
    pub attempt_of: Option<RequestId>,
    pub merchant_id: MerchantId,
    pub wallet_id: WalletId,
    /// `None` for calls with a secret key or a forward token.
    pub spend_key_id: Option<SpendKeyId>,
    pub admission: Admission,
    /// Unix milliseconds.
    pub admitted_at_ms: i64,
    pub hold: Money,
    pub price_version: u32,
    pub provider_key_type: ProviderKeyType,
    pub streaming: bool,
    /// Whether the simulated provider serves it.
    pub simulated: bool,
    /// What the input is thought to cost, and nano-dollars per million output tokens: enough to settle after a crash.
    pub input_estimate: Money,
    pub output_nanos_per_million: i64,
    pub provider: String,
    pub model: Option<String>,
    /// `METHOD url`.
    pub endpoint: String,
    /// A JSON object of strings; empty where there is none.
    pub metadata: String,
    /// `None` where nobody but the wallet and the key is concerned.
    pub metered: Option<Metered>,
}

/// Whose usage a request is, where it is a customer's or a meter's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    pub meter_id: MeterId,
    /// `None` where the usage is only counted on the meter.
    pub customer_id: Option<CustomerId>,
    /// The merchant's own id of a request that he reported; empty for calls. At most 255 bytes.
    pub caller_id: String,
    /// What a settlement after a crash charges; `None` where the customer is not charged.
    pub forecast: Option<ChargeForecast>,
}

impl Metered {
    /// Whether the merchant reported it, so that no call was made.
    pub fn is_report(&self) -> bool {
        !self.caller_id.is_empty()
    }
}

/// Enough to charge a customer for a call that a crash left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargeForecast {
    /// What is charged whatever the output comes to.
    pub base: Money,
    /// Nano-dollars per million output tokens.
    pub output_nanos_per_million: i64,
    pub input_quantity: u64,
    /// The share of output tokens in the meter's quantity: 1 where it counts tokens, else 0.
    pub counts_output: u8,
    /// Unix seconds; see [`Charge::period_start_s`].
    pub period_start_s: i64,
}

/// What a customer is charged for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub amount: Money,
    /// What of it his credit of this cycle pays; his bundles pay the rest.
    pub from_cycle: Money,
    /// In the units of the meter: tokens, characters, seconds or requests.
    pub quantity: u64,
    /// When the period began that the quantity is counted in, in unix seconds.
    pub period_start_s: i64,
    /// By tier, at most [`Charge::PARTS_MOST`].
    pub parts: Vec<ChargePart>,
}

impl Charge {
    pub const PARTS_MOST: usize = 8;
}

/// What of a charge fell into one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargePart {
    /// Where the tier begins, in the units of its thresholds.
    pub start: u64,
    /// Nano-dollars for the unit of the tier's type, or billionths of a percent.
    pub rate_nanos: i64,
    pub quantity: u64,
    pub cost: Money,
}

/// How it ended and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub id: RequestId,
    pub outcome: Outcome,
    pub usage_source: UsageSource,
    /// The status that the caller got.
    pub http_status: u16,
    pub usage: Usage,
    pub cost: Money,
    /// The shares of input and output in `cost`, for display.
    pub input_cost: Money,
    pub output_cost: Money,
    /// Unix milliseconds.
    pub finished_at_ms: i64,
    /// When its first token came, in milliseconds after the admission; `None` where it did not stream.
    pub first_token_ms: Option<u32>,
    /// At most [`Settlement::RESPONSE_ID_BYTES`] bytes.
    pub response_id: String,
    /// `None` where no customer is charged.
    pub charge: Option<Charge>,
}

impl Settlement {
    pub const RESPONSE_ID_BYTES: usize = 96;
}

impl OpenRequest {
    /// What the call is thought to cost with so many output tokens served.
    pub fn cost_so_far(&self, output_tokens: u64) -> Money {
        let output_nanos = i128::from(output_tokens) * i128::from(self.output_nanos_per_million) / 1_000_000;
        let output = Money::from_nanos(i64::try_from(output_nanos).unwrap_or(i64::MAX));
        self.input_estimate.saturating_add(output)
    }

    /// The settlement of a call that a crash left open, with `output_tokens` as last recorded; never above the hold.
    pub fn crash_settlement(&self, output_tokens: u64, at_ms: i64) -> Settlement {
        let bound = if self.hold > Money::ZERO { self.hold } else { Money::MAX };
        let cost = self.cost_so_far(output_tokens).min(bound);
        let input_cost = self.input_estimate.min(cost);
        Settlement {
            id: self.id,
            outcome: Outcome::Error,
            usage_source: UsageSource::CrashEstimate,
            http_status: 0,
            usage: Usage {
                output_tokens,
                ..Usage::default()
            },
            cost,
            input_cost,
            output_cost: cost.saturating_sub(input_cost),
            finished_at_ms: at_ms,
            first_token_ms: None,
            response_id: String::new(),
            charge: self.crash_charge(output_tokens),
        }
    }

    /// Nobody knows any more how his credit is shared out, so that of the cycle pays it all.
    fn crash_charge(&self, output_tokens: u64) -> Option<Charge> {
        let forecast = self.metered.as_ref()?.forecast?;
        let output = i128::from(output_tokens) * i128::from(forecast.output_nanos_per_million) / 1_000_000;
        let output = Money::from_nanos(i64::try_from(output).unwrap_or(i64::MAX));
        let amount = forecast.base.saturating_add(output);
        let counted = u64::from(forecast.counts_output).saturating_mul(output_tokens);
        Some(Charge {
            amount,
            from_cycle: amount,
            quantity: forecast.input_quantity.saturating_add(counted),
            period_start_s: forecast.period_start_s,
            parts: Vec::new(),
        })
    }
}

/// A change of a balance that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    /// Money put into a wallet.
    Funding,
    /// Credit that a subscription cycle or a bundle adds.
    Grant,
    Bundle,
    Renewal,
    /// Usage that a merchant reported after the fact.
    Reported,
    /// A later truth about an earlier figure.
    Correction,
    /// Credit that was not used in time.
    Lapse,
    /// A bundle that was bought because credit had run out.
    TopUp,
}

codes! {
    MovementKind { Funding = 0 "funding", Grant = 1 "grant", Bundle = 2 "bundle", Renewal = 3 "renewal", Reported = 4 "reported", Correction = 5 "correction", Lapse = 6 "lapse", TopUp = 7 "top_up" }
}

/// A journal record of such a change; `amount` is added to the account, negative where it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub id: MovementId,
    pub merchant_id: MerchantId,
    pub account: AccountRef,
    pub kind: MovementKind,
    pub amount: Money,
    /// A tier's quantity, where the kind has one.
    pub quantity: i64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The caller's own id or words; at most 255 bytes.
    pub note: String,
}

/// Whose balance moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountRef {
    Wallet(WalletId),
    /// A customer's credit of his cycle.
    CycleCredit(CustomerId),
    /// A customer's credit of bundles.
    BundleCredit(CustomerId),
}

impl AccountRef {
    pub const fn code(self) -> u8 {
        match self {
            Self::Wallet(_) => 0,
            Self::CycleCredit(_) => 1,
            Self::BundleCredit(_) => 2,
        }
    }

    /// The word in the ledger.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Wallet(_) => "wallet",
            Self::CycleCredit(_) => "cycle_credit",
            Self::BundleCredit(_) => "bundle_credit",
        }
    }

    pub const fn bits(self) -> u128 {
        match self {
            Self::Wallet(id) => id.bits(),
            Self::CycleCredit(id) | Self::BundleCredit(id) => id.bits(),
        }
    }

    pub const fn from_parts(code: u8, bits: u128) -> Option<Self> {
        match code {
            0 => Some(Self::Wallet(WalletId::from_bits(bits))),
            1 => Some(Self::CycleCredit(CustomerId::from_bits(bits))),
            2 => Some(Self::BundleCredit(CustomerId::from_bits(bits))),
            _ => None,
        }
    }
}

/// A change of a customer's subscription, with all that it does to his credit: one record, so that none of it is ever
/// there without the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The entries' movements have the ids that follow it.
    pub id: MovementId,
    pub merchant_id: MerchantId,
    pub customer_id: CustomerId,
    /// Counts the turns of the customer; a row of a later one is never written over.
    pub version: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The subscription as it is from now on, in JSON; empty where it did not change.
    pub subscription: String,
    pub entries: Vec<TurnEntry>,
}

/// What a turn adds to one of the two credits of its customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnEntry {
    pub account: AccountRef,
    pub kind: MovementKind,
    pub amount: Money,
}

impl Turn {
    /// The entries as movements; the same each time.
    pub fn movements(&self) -> Vec<Movement> {
        // The lowest bit tells a test merchant's ids.
        let id = |place: usize| MovementId::from_bits(self.id.bits() + 2 * place as u128);
        let movement = |(place, entry): (usize, &TurnEntry)| Movement {
            id: id(place),
            merchant_id: self.merchant_id,
            account: entry.account,
            kind: entry.kind,
            amount: entry.amount,
            quantity: 0,
            at_ms: self.at_ms,
            note: String::new(),
        };
        self.entries.iter().enumerate().map(movement).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_and_words_of_key_types_never_change() {
        let table = [
            (ProviderKeyType::Managed, 0, "managed"),
            (ProviderKeyType::Unmanaged, 1, "unmanaged"),
            (ProviderKeyType::Stored, 2, "stored"),
        ];
        for (key_type, code, word) in table {
            assert_eq!((key_type.code(), key_type.name()), (code, word));
            assert_eq!(ProviderKeyType::from_code(code), Some(key_type));
        }
        assert_eq!(ProviderKeyType::from_code(3), None);
    }
}
