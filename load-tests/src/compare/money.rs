//! Money as whole nanodollars, read from decimal text. No floats.

/// Reads a decimal such as `12.5` or `-0.000000001` as nanodollars; `None` where it is anything else or finer than that.
pub fn parse_nanos(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let kept = fraction.trim_end_matches('0');
    if !is_number(whole) || !is_number(fraction) || kept.len() > 9 {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{kept:0<9}").parse().ok()?;
    Some(sign * whole.checked_mul(1_000_000_000)?.checked_add(fraction)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimal_text_exactly() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("0.00", Some(0)),
            ("1000.00", Some(1_000_000_000_000)),
            ("0.000000001", Some(1)),
            ("-0.000000001", Some(-1)),
            ("12.5", Some(12_500_000_000)),
            ("0.1234567890", Some(123_456_789)),
            ("0.0000000001", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_nanos(text), nanos, "{text}");
        }
    }
}
