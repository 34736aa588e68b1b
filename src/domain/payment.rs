//! What is known of a payment: how much in cents, with which card, and why it was refused. Card numbers and check digits
//! are never part of it; a card is its brand, its last four digits and when it expires. Who takes the money is decided
//! elsewhere; here is what all of them agree on.

use super::checkout::{Basket, Who};
use super::ids::{CustomerId, MerchantId, Mode, WalletId};
use super::money::{Money, NANOS_PER_DOLLAR};
use super::subscription::Due;

const NANOS_PER_CENT: i64 = NANOS_PER_DOLLAR / 100;

/// An amount that a card can be charged: whole cents, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Cents(u64);

impl Cents {
    /// What is charged for a price: half a cent and more counts as a whole one.
    pub fn of(price: Money) -> Self {
        let nanos = price.or_zero().nanos();
        let cents = nanos / NANOS_PER_CENT + i64::from(nanos % NANOS_PER_CENT >= NANOS_PER_CENT / 2);
        Self(cents.unsigned_abs())
    }

    pub const fn count(self) -> u64 {
        self.0
    }

    /// The same as an amount.
    pub fn money(self) -> Money {
        let nanos = i64::try_from(self.0)
            .ok()
            .and_then(|cents| cents.checked_mul(NANOS_PER_CENT));
        nanos.map_or(Money::MAX, Money::from_nanos)
    }
}

/// Who takes payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProcessorKind {
    /// The operator's account there.
    Stripe,
    /// Nobody: no money moves.
    Test,
}

impl ProcessorKind {
    pub const ALL: [Self; 2] = [Self::Stripe, Self::Test];

    /// A test merchant's customers never pay real money, and a live one's always do.
    pub const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Live => Self::Stripe,
            Mode::Test => Self::Test,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Test => "test",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a payment is for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Purpose {
    /// What is in a checkout, for a customer who may be made first.
    Checkout {
        basket: Basket,
        who: Who,
        phone: Option<String>,
    },
    /// A further cycle.
    Renewal { due: Due },
    /// A bundle that is bought by itself.
    TopUp { credit_amount: Money },
    /// Money that the merchant puts into a wallet of his.
    Funding { wallet_id: WalletId },
}

impl Purpose {
    /// The account of the ledger on the other side of the money.
    pub const fn ledger_account(&self) -> &'static str {
        match self {
            Self::Checkout { .. } | Self::Renewal { .. } | Self::TopUp { .. } => "card_sales",
            Self::Funding { .. } => "card_funding",
        }
    }
}

/// As whom a merchant pays for himself: his own id stands where a customer's does, and no customer has it.
pub const fn own_payer(merchant: MerchantId) -> CustomerId {
    CustomerId::from_bits(merchant.bits())
}

/// How a payment stands here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// It is about to be asked for, or its answer is not known.
    Pending,
    ActionRequired,
    Paid,
    Declined,
    /// Paid, and given back because what it was for could not be given.
    Refunded,
}

impl PaymentStatus {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::ActionRequired,
        Self::Paid,
        Self::Declined,
        Self::Refunded,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::ActionRequired => "action_required",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// As much of a card as may be stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Card {
    /// In lower case, as `visa`.
    pub brand: String,
    pub last4: String,
    pub expiry_month: u32,
    pub expiry_year: u32,
}

/// Why the one who pays is refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decline {
    /// As `card_declined`, `insufficient_funds`.
    pub code: String,
    /// For the one who pays.
    pub message: String,
}

impl Decline {
    /// What the holder of a card must do himself, and did not.
    pub const AUTHENTICATION: &'static str = "authentication_required";

    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cent_counts_as_a_whole_one() {
        let table = [
            ("0", 0),
            ("0.004999999", 0),
            ("0.005", 1),
            ("0.01", 1),
            ("24.994999999", 2499),
            ("24.995", 2500),
            ("10000", 1_000_000),
            ("9223372036.854775807", 922_337_203_685),
        ];
        for (price, cents) in table {
            assert_eq!(Cents::of(price.parse().unwrap()).count(), cents, "{price}");
        }
        assert_eq!(Cents::of(Money::from_nanos(-5_000_000_000)).count(), 0);
        assert_eq!(Cents(1999).money().to_string(), "19.99");
        assert_eq!(Cents(u64::MAX).money(), Money::MAX);
    }

    #[test]
    fn processors_are_read_as_they_are_written_and_follow_the_mode() {
        for kind in ProcessorKind::ALL {
            assert_eq!(ProcessorKind::from_name(kind.name()), Some(kind));
        }
        for status in PaymentStatus::ALL {
            assert_eq!(PaymentStatus::from_name(status.name()), Some(status));
        }
        assert_eq!(ProcessorKind::from_name("paypal"), None);
        assert_eq!(ProcessorKind::of(Mode::Test), ProcessorKind::Test);
        assert_eq!(ProcessorKind::of(Mode::Live), ProcessorKind::Stripe);
    }
}
