//! How a message is signed, in three forms: Lava's own (hex of the body, keyed by the whole secret as text), the one of
//! Standard Webhooks (with id and time, keyed by the bytes that the secret spells in base64), and an older one with the
//! time (`t=...,v1=...`, keyed by the text). While a rotation runs both secrets sign. Only who knows a secret can make
//! a signature; nothing here checks one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::secret::Secret;

/// How every secret begins.
pub const PREFIX: &str = "whsec_";

/// A new secret of 32 random bytes.
pub fn mint(random: &[u8; 32]) -> Secret<String> {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(random)))
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The same for every attempt.
    pub id: &'a str,
    /// Of this attempt, in unix seconds.
    pub timestamp_s: i64,
    pub body: &'a str,
}

/// The headers of the message; the newest secret comes first, and one that was rotated away, where it still counts,
/// second.
pub fn headers(message: Message<'_>, secrets: &[Secret<String>]) -> Vec<(&'static str, String)> {
    let Message { id, timestamp_s, body } = message;
    let all =
        |sign: &dyn Fn(&str) -> String| -> Vec<String> { secrets.iter().map(|secret| sign(secret.expose())).collect() };
    let plain = all(&|secret| hex(&hmac(secret.as_bytes(), &[body.as_bytes()])));
    let dated = format!("{timestamp_s}.");
    let timed = all(&|secret| {
        let mac = hmac(secret.as_bytes(), &[dated.as_bytes(), body.as_bytes()]);
        format!(",v1={}", hex(&mac))
    });
    let named = format!("{id}.{timestamp_s}.");
    let standard = all(&|secret| {
        let mac = hmac(&standard_key(secret), &[named.as_bytes(), body.as_bytes()]);
        format!("v1,{}", STANDARD.encode(mac))
    });
    let plain_names = ["x-webhook-signature", "x-webhook-signature-previous"];
    let mut headers: Vec<(&'static str, String)> = plain_names.into_iter().zip(plain).collect();
    headers.push(("x-lava-signature", format!("t={timestamp_s}{}", timed.concat())));
    headers.push(("webhook-id", id.to_owned()));
    headers.push(("webhook-timestamp", timestamp_s.to_string()));
    headers.push(("webhook-signature", standard.join(" ")));
    headers
}

/// The bytes behind the prefix; a secret that spells none, which is never minted, counts as text.
fn standard_key(secret: &str) -> Vec<u8> {
    let spelled = secret.strip_prefix(PREFIX).unwrap_or(secret);
    STANDARD.decode(spelled).unwrap_or_else(|_| secret.as_bytes().to_vec())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made once with OpenSSL's command line, from the same secret, id, time and body.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = r#"{"test": 2432232314}"#;

    fn signed(secrets: &[&str]) -> Vec<(&'static str, String)> {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp_s: 1_614_265_330,
            body: BODY,
        };
        headers(message, &secrets)
    }

    fn value<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
        let found = headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_example_of_standard_webhooks_has_its_signature() {
        let headers = signed(&[SECRET]);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(value(&headers, "webhook-signature"), Some(expected));
        assert_eq!(value(&headers, "webhook-timestamp"), Some("1614265330"));
        let plain = value(&headers, "x-webhook-signature").unwrap();
        assert_eq!(
            plain,
            "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"
        );
        assert_eq!(value(&headers, "x-webhook-signature-previous"), None);
        assert_eq!(
            value(&headers, "x-lava-signature"),
            Some("t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964")
        );
    }

    #[test]
    fn both_secrets_sign_while_one_takes_the_others_place() {
        let other = mint(&[7; 32]);
        let alone = [signed(&[other.expose()]), signed(&[SECRET])];
        let both = signed(&[other.expose(), SECRET]);
        let signature = |headers, name| value(headers, name).unwrap().to_owned();
        let standard = alone.each_ref().map(|headers| signature(headers, "webhook-signature"));
        assert_eq!(value(&both, "webhook-signature"), Some(standard.join(" ").as_str()));
        let plain = alone
            .each_ref()
            .map(|headers| signature(headers, "x-webhook-signature"));
        assert_eq!(value(&both, "x-webhook-signature"), Some(plain[0].as_str()));
        assert_eq!(value(&both, "x-webhook-signature-previous"), Some(plain[1].as_str()));
        assert!(other.expose().starts_with("whsec_") && other.expose().len() == 6 + 44);
    }
}
