//! Money as an integer count of nano-dollars. It refuses floats, exponents and silent wrap-around: every operation is
//! checked, and overflow is the caller's error to handle. Everything that prices, holds or pays uses this type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nano-dollars in one dollar.
pub const NANOS_PER_DOLLAR: i64 = 1_000_000_000;

/// An amount of dollars, exact to the nano-dollar; negative only where a balance may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("must be a decimal number of dollars such as \"5.00\"")]
    NotDecimal,
    #[error("must not be negative")]
    Negative,
    #[error("must have at most nine decimals")]
    TooFine,
    #[error("is too large")]
    TooLarge,
}

impl Money {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    /// The amount of this many nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// For totals that only inform or only tighten a limit: the largest amount instead of an overflow.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, clamped to the range of the type; may be negative.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This amount, or zero where it is negative.
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }
}

/// At least two decimals, at most nine: `5.00`, `0.000000150`.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let unit = NANOS_PER_DOLLAR.unsigned_abs();
        let (whole, mut fraction) = (nanos / unit, nanos % unit);
        let mut width = 9;
        while width > 2 && fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(formatter, "{sign}{whole}.{fraction:0width$}")
    }
}

/// Plain decimals only: no sign, exponent, separator or blank; at most nine decimals.
impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        if text.starts_with('-') {
            return Err(MoneyError::Negative);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(MoneyError::NotDecimal),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(MoneyError::NotDecimal);
        }
        if fraction.len() > 9 {
            return Err(MoneyError::TooFine);
        }
        let whole: i64 = whole.parse().map_err(|_| MoneyError::TooLarge)?;
        let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| MoneyError::NotDecimal)?;
        let nanos = whole
            .checked_mul(NANOS_PER_DOLLAR)
            .and_then(|nanos| nanos.checked_add(fraction));
        nanos.map(Self).ok_or(MoneyError::TooLarge)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_plain_decimals_and_refuses_the_rest() {
        let good = [
            ("5", 5_000_000_000, "5.00"),
            ("0.1", 100_000_000, "0.10"),
            ("0.000000001", 1, "0.000000001"),
            ("1.250", 1_250_000_000, "1.25"),
            ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
        ];
        for (text, nanos, shown) in good {
            assert_eq!(text.parse(), Ok(Money::from_nanos(nanos)), "{text}");
            assert_eq!(Money::from_nanos(nanos).to_string(), shown);
        }
        let bad = [
            ("", MoneyError::NotDecimal),
            (".5", MoneyError::NotDecimal),
            ("5.", MoneyError::NotDecimal),
            ("1e3", MoneyError::NotDecimal),
            ("+1", MoneyError::NotDecimal),
            (" 1", MoneyError::NotDecimal),
            ("1,000", MoneyError::NotDecimal),
            ("NaN", MoneyError::NotDecimal),
            ("-1", MoneyError::Negative),
            ("0.0000000001", MoneyError::TooFine),
            ("9223372036.854775808", MoneyError::TooLarge),
            ("99999999999999999999", MoneyError::TooLarge),
        ];
        for (text, why) in bad {
            assert_eq!(text.parse::<Money>(), Err(why), "{text}");
        }
        assert_eq!(Money::from_nanos(-1_500_000_000).to_string(), "-1.50");
    }

    proptest! {
        #[test]
        fn what_it_writes_it_reads_back(nanos in 0i64..) {
            let money = Money::from_nanos(nanos);
            prop_assert_eq!(money.to_string().parse(), Ok(money));
        }
    }
}
