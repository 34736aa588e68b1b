//! One admitted request from admission to its row: what is written when it opens, and what when it ends.

use super::ids::{MerchantId, RequestId, SpendKeyId, WalletId};
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
    UsageSource { Provider = 0 "provider", Partial = 1 "partial", Estimated = 2 "estimated", CrashEstimate = 3 "crash_estimate", None = 4 "none" }
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
    /// At most [`Settlement::RESPONSE_ID_BYTES`] bytes.
    pub response_id: String,
}

impl Settlement {
    pub const RESPONSE_ID_BYTES: usize = 96;
}

impl OpenRequest {
    /// The settlement of a call that a crash left open, with `output_tokens` as last recorded; never above the hold.
    pub fn crash_settlement(&self, output_tokens: u64, at_ms: i64) -> Settlement {
        let output_nanos = i128::from(output_tokens) * i128::from(self.output_nanos_per_million) / 1_000_000;
        let output = Money::from_nanos(i64::try_from(output_nanos).unwrap_or(i64::MAX));
        let bound = if self.hold > Money::ZERO { self.hold } else { Money::MAX };
        let cost = self.input_estimate.saturating_add(output).min(bound);
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
            response_id: String::new(),
        }
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
}

codes! {
    MovementKind { Funding = 0 "funding", Grant = 1 "grant", Bundle = 2 "bundle", Renewal = 3 "renewal", Reported = 4 "reported", Correction = 5 "correction" }
}

/// A journal record of such a change; `amount` is added to the account, negative where it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub id: super::ids::MovementId,
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
    /// A customer's credit.
    Customer(super::ids::CustomerId),
}

impl AccountRef {
    pub const fn code(self) -> u8 {
        match self {
            Self::Wallet(_) => 0,
            Self::Customer(_) => 1,
        }
    }

    pub const fn bits(self) -> u128 {
        match self {
            Self::Wallet(id) => id.bits(),
            Self::Customer(id) => id.bits(),
        }
    }

    pub const fn from_parts(code: u8, bits: u128) -> Option<Self> {
        match code {
            0 => Some(Self::Wallet(WalletId::from_bits(bits))),
            1 => Some(Self::Customer(super::ids::CustomerId::from_bits(bits))),
            _ => None,
        }
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
