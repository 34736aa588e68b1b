//! Reads a JSON number's text as an integer of a finer unit, without a float in between. Used by the import of prices
//! only; it refuses what is negative, no number, or too large for the unit.

/// A number in the finer unit.
pub(super) struct Scaled {
    pub(super) value: i64,
    /// False when the unit was not fine enough and the value was rounded half up.
    pub(super) exact: bool,
}

/// Reads a JSON number and moves its decimal point to the right by `places`.
/// `None` when it is negative, not a number, or too large.
pub(super) fn scale(text: &str, places: i32) -> Option<Scaled> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || digits.len() > 60 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let point = i32::try_from(whole.len())
        .ok()?
        .checked_add(exponent)?
        .checked_add(places)?;
    let mut value: i128 = 0;
    for index in 0..point.clamp(0, 60) {
        let digit = usize::try_from(index)
            .ok()
            .and_then(|index| digits.get(index))
            .map_or(0, |digit| digit - b'0');
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let cut = usize::try_from(point).map_or(0, |point| point.min(digits.len()));
    let half = point >= 0 && digits.get(cut).is_some_and(|digit| *digit >= b'5');
    let exact = digits[cut..].iter().all(|digit| *digit == b'0');
    let value = i64::try_from(value + i128::from(half)).ok()?;
    (point <= 60 || value == 0).then_some(Scaled { value, exact })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_price_from_its_text_exactly() {
        let table = [
            ("7.5e-08", 75_000_000, true),
            ("1.5e-07", 150_000_000, true),
            ("0.0", 0, true),
            ("0", 0, true),
            ("3e-06", 3_000_000_000, true),
            ("0.00971", 9_710_000_000_000, true),
            ("9.499999999999999e-07", 950_000_000, false),
            ("1.4850000000000002e-06", 1_485_000_000, false),
            ("2.0345052083e-09", 2_034_505, false),
            ("5e-16", 1, false),
            ("4e-16", 0, false),
            ("5e-17", 0, false),
            ("1e-300", 0, false),
            ("2E+2", 200_000_000_000_000_000, true),
        ];
        for (text, value, exact) in table {
            let scaled = scale(text, 15).expect(text);
            assert_eq!((scaled.value, scaled.exact), (value, exact), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_price() {
        for text in [
            "-1",
            "null",
            "\"1\"",
            "1e9",
            "1e400",
            "",
            ".",
            "1e",
            "true",
            "99999999999",
        ] {
            assert!(scale(text, 15).is_none(), "{text}");
        }
    }
}
