//! Typed ids: a ULID (48 bits of milliseconds, 80 random bits) behind a prefix that names the kind. The lowest bit says
//! whether the thing belongs to a test merchant, so that `req_...` and `req_test_...` need no look-up to be written.
//! Postgres stores them as UUID.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Crockford's base32, as the ULID specification has it.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Whether a merchant, and all that is his, is real or for trying out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Live,
    Test,
}

/// A text that is not an id of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of this kind")]
pub struct IdError;

/// The 128 bits of a new id.
/// `now_ms` is unix milliseconds; `random` gives the lower 80 bits.
pub fn compose(mode: Mode, now_ms: i64, random: u128) -> u128 {
    let time = (now_ms.max(0) as u128 & ((1 << 48) - 1)) << 80;
    let tail = random & ((1 << 80) - 2);
    time | tail | u128::from(mode == Mode::Test)
}

fn write_ulid(value: u128, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; 26];
    for (place, byte) in text.iter_mut().enumerate() {
        *byte = ALPHABET[(value >> (125 - 5 * place)) as usize & 31];
    }
    formatter.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
}

fn read_ulid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 26 || bytes[0] > b'7' {
        return None;
    }
    bytes.iter().try_fold(0u128, |value, byte| {
        let digit = ALPHABET
            .iter()
            .position(|letter| letter == &byte.to_ascii_uppercase())?;
        Some(value << 5 | digit as u128)
    })
}

/// The first and the last value whose text begins so; `None` where none does.
fn ulids_beginning(text: &str) -> Option<(u128, u128)> {
    let missing = 26usize.checked_sub(text.len())?;
    let filled = |digit: &str| read_ulid(&format!("{text}{}", digit.repeat(missing)));
    filled("0").zip(filled("Z").or_else(|| text.is_empty().then_some(u128::MAX)))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A new id; see [`compose`].
            pub fn compose(mode: Mode, now_ms: i64, random: u128) -> Self {
                Self(compose(mode, now_ms, random))
            }

            /// A new id whose order among those of the same millisecond is that of their making: the microseconds
            /// (`now_us` is unix microseconds) stand before the random bits.
            pub fn compose_in_order(mode: Mode, now_us: i64, random: u128) -> Self {
                let within_ms = now_us.rem_euclid(1000) as u128;
                let tail = random & ((1 << 70) - 1);
                Self(compose(mode, now_us.div_euclid(1000), within_ms << 70 | tail))
            }

            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            pub const fn bits(self) -> u128 {
                self.0
            }

            pub const fn uuid(self) -> Uuid {
                Uuid::from_u128(self.0)
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid.as_u128())
            }

            /// The first and the last id that begin with this text, which must have the prefix of their kind; `None` where
            /// none does. Between them may stand ids of the other mode.
            pub fn beginning(text: &str) -> Option<(Self, Self)> {
                let rest = text.strip_prefix($prefix)?;
                let (first, last) = ulids_beginning(rest.strip_prefix("test_").unwrap_or(rest))?;
                Some((Self(first), Self(last)))
            }

            pub fn mode(self) -> Mode {
                if self.0 & 1 == 1 { Mode::Test } else { Mode::Live }
            }

            /// Unix milliseconds of its making.
            pub const fn created_ms(self) -> i64 {
                (self.0 >> 80) as i64
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str($prefix)?;
                if self.mode() == Mode::Test {
                    formatter.write_str("test_")?;
                }
                write_ulid(self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text.strip_prefix($prefix).ok_or(IdError)?;
                let (rest, mode) = match rest.strip_prefix("test_") {
                    Some(rest) => (rest, Mode::Test),
                    None => (rest, Mode::Live),
                };
                let id = read_ulid(rest).map(Self).ok_or(IdError)?;
                if id.mode() == mode { Ok(id) } else { Err(IdError) }
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.uuid()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A tenant.
    MerchantId = "mer_";
    /// What pays provider cost.
    WalletId = "wal_";
    /// A key of the management API.
    SecretKeyId = "sec_";
    /// A key that only manages spend keys.
    WalletKeyId = "wk_";
    /// What an application calls with.
    SpendKeyId = "spk_";
    /// A merchant's own credential at a provider.
    ProviderKeyId = "pvk_";
    /// One row of usage.
    RequestId = "req_";
    /// One movement of a balance that is no request.
    MovementId = "mov_";
    /// A customer of a merchant.
    CustomerId = "con_";
    /// A price list for customers' usage.
    MeterId = "prd_";
    /// What customers subscribe to.
    PlanId = "sc_";
    /// Credit that the subscribers of a plan may buy.
    CreditBundleId = "cb_";
    /// A customer's time on plans.
    SubscriptionId = "sub_";
    /// An endpoint that a merchant is told events at.
    WebhookId = "whk_";
    /// Something that happened and is told.
    EventId = "evt_";
    /// One event on its way to one endpoint.
    DeliveryId = "whd_";
    /// What a customer goes through to buy.
    CheckoutSessionId = "cs_";
    /// A card that may be charged again.
    PaymentMethodId = "pm_";
    /// Money that was asked for, whether or not it came.
    PaymentId = "pay_";
    /// One change in the audit log.
    AuditEventId = "aud_";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_beginning_of_an_id_names_all_that_go_on_from_it() {
        let id = RequestId::compose(Mode::Live, 1_700_000_000_000, 123_456);
        let text = id.to_string();
        for length in 4..=text.len() {
            let (first, last) = RequestId::beginning(&text[..length]).unwrap();
            assert!(first <= id && id <= last, "{}", &text[..length]);
        }
        assert_eq!(RequestId::beginning(&text), Some((id, id)));
        assert_eq!(RequestId::beginning("req_"), Some((RequestId(0), RequestId(u128::MAX))));
        assert!(RequestId::beginning("req_test_01").is_some());
        for junk in [
            "",
            "req",
            "wal_01",
            "req_8",
            "req_01U",
            "req_01\u{e4}",
            &format!("{text}0"),
        ] {
            assert_eq!(RequestId::beginning(junk), None, "{junk}");
        }
    }

    #[test]
    fn an_id_is_prefix_mode_and_ulid() {
        let id = RequestId::compose(Mode::Test, 1_700_000_000_000, 0);
        assert_eq!(id.to_string(), "req_test_01HF7YAT000000000000000001");
        assert_eq!(id.created_ms(), 1_700_000_000_000);
        let refused = [
            "",
            "req_",
            "wal_01HF7YAT000000000000000000",
            "req_01HF7YAT000000000000000001",
            "req_81HF7YAT000000000000000000",
            "req_01HF7YAT00000000000000000U",
        ];
        for text in refused {
            assert_eq!(text.parse::<RequestId>(), Err(IdError), "{text}");
        }
    }

    #[test]
    fn ids_of_one_millisecond_are_in_the_order_of_their_making() {
        let made = |now_us, random| RequestId::compose_in_order(Mode::Live, now_us, random);
        assert!(made(1_700_000_000_000_001, u128::MAX) < made(1_700_000_000_000_002, 0));
        assert!(made(1_700_000_000_000_999, u128::MAX) < made(1_700_000_000_001_000, 0));
        assert_eq!(made(1_700_000_000_000_999, 0).created_ms(), 1_700_000_000_000);
    }

    proptest! {
        #[test]
        fn what_it_writes_it_reads_back(bits in any::<u128>()) {
            let id = SpendKeyId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
