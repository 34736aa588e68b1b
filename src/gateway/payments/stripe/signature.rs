//! Whether a message comes from Stripe: `Stripe-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(t + "." + body)>`,
//! keyed by the endpoint's secret. Compared in constant time; an old message is refused, so that none can be played
//! again later. It fails closed.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::secret::Secret;

/// How old a message may be, and how far ahead the sender's clock.
pub const TOLERANCE_S: i64 = 300;

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature has no timestamp or no v1 part")]
    Malformed,
    #[error("the message is too old, or from the future")]
    Stale,
    #[error("the signature is not of this message")]
    Wrong,
}

/// Checks a message; `header` is `Stripe-Signature`, and `body` the raw bytes.
pub fn verify(secret: &Secret<String>, header: &str, body: &[u8], now_s: i64) -> Result<(), SignatureError> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let timestamp = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let timestamp = timestamp.ok_or(SignatureError::Malformed)?;
    let at_s: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
    let mut signatures = parts().filter(|(name, _)| *name == "v1").peekable();
    if signatures.peek().is_none() {
        return Err(SignatureError::Malformed);
    }
    let mut expected =
        <Hmac<Sha256> as Mac>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    expected.update(timestamp.as_bytes());
    expected.update(b".");
    expected.update(body);
    // There are several while the endpoint's secret changes.
    let is_signed = signatures.any(|(_, hex)| {
        let given = decode_hex(hex);
        given.is_some_and(|given| expected.clone().verify_slice(&given).is_ok())
    });
    if !is_signed {
        return Err(SignatureError::Wrong);
    }
    if at_s.abs_diff(now_s) > TOLERANCE_S.unsigned_abs() {
        return Err(SignatureError::Stale);
    }
    Ok(())
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const AT_S: i64 = 1_795_262_400;
    /// Of the body at the instant above under `whsec_test`, made with another program.
    const SIGNATURE: &str = "f3d940b00776ea46fbb1ea9ea1bb9c9a64154b79a2d3bb705c8e8bb40a358766";

    fn check(header: &str, body: &[u8], now_s: i64) -> Result<(), SignatureError> {
        verify(&Secret::new("whsec_test".to_owned()), header, body, now_s)
    }

    #[test]
    fn a_message_is_believed_with_its_signature_and_in_its_time() {
        let header = format!("t={AT_S},v1={SIGNATURE},v0=abc");
        let rolled = format!("t={AT_S},v1={},v1={SIGNATURE}", "0".repeat(64));
        let later = format!("t={},v1={SIGNATURE}", AT_S + 1);
        type Case<'a> = (&'a str, &'a [u8], i64, Result<(), SignatureError>);
        let table: [Case<'_>; 12] = [
            (&header, BODY, AT_S, Ok(())),
            (&rolled, BODY, AT_S, Ok(())),
            (&header, BODY, AT_S + 300, Ok(())),
            (&header, BODY, AT_S - 300, Ok(())),
            (&header, BODY, AT_S + 301, Err(SignatureError::Stale)),
            (&header, BODY, AT_S - 301, Err(SignatureError::Stale)),
            (&header, b"{}", AT_S, Err(SignatureError::Wrong)),
            (&later, BODY, AT_S, Err(SignatureError::Wrong)),
            ("t=1,v1=", BODY, 1, Err(SignatureError::Wrong)),
            ("t=1,v0=00", BODY, 1, Err(SignatureError::Malformed)),
            ("v1=00", BODY, 1, Err(SignatureError::Malformed)),
            ("", BODY, 1, Err(SignatureError::Malformed)),
        ];
        for (header, body, now_s, expected) in table {
            assert_eq!(check(header, body, now_s), expected, "{header}");
        }
        let other = Secret::new("whsec_other".to_owned());
        assert_eq!(verify(&other, &header, BODY, AT_S), Err(SignatureError::Wrong));
    }
}
