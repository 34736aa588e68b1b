//! The forward token: base64 of a small JSON object that names a secret key and, with it, a customer, a meter, a
//! provider key. Reads every generation that an official client ever sent; null means absent. It is strict, because a
//! member that is ignored could be one that someone relied on: unknown and repeated members are refused.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::domain::secret::Secret;

/// The longest token that is read.
pub const TOKEN_LIMIT_BYTES: usize = 4_096;

/// Padding is optional: some tools strip it.
const PADDING_OPTIONAL: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING_OPTIONAL);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING_OPTIONAL);

/// What a forward token says.
#[derive(Clone, Debug)]
pub struct ForwardToken {
    pub secret_key: Secret<String>,
    /// A customer's id, reference id or connection secret.
    pub customer: Option<String>,
    /// A meter's slug, id or secret; always there beside a customer.
    pub meter: Option<String>,
    /// Set by one generation beside its own kind of customer secret.
    pub plan: Option<String>,
    /// Fit for a header: printable ASCII with no blank at either end.
    pub provider_key: Option<Secret<String>>,
    pub disable_billing: bool,
}

/// Why a text is no forward token. Nothing of the text is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than {TOKEN_LIMIT_BYTES} bytes")]
    TooLong,
    #[error("the token is not base64 of a JSON object")]
    NotAToken,
    #[error("the token's members are wrong: {0}")]
    Members(&'static str),
    #[error("the token names a customer without a meter")]
    CustomerWithoutMeter,
}

impl ForwardToken {
    /// Decodes a token in either base64 alphabet, padded or not.
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_LIMIT_BYTES {
            return Err(TokenError::TooLong);
        }
        let text = text.trim();
        let base64 = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        let json = Secret::new(base64.decode(text).map_err(|_| TokenError::NotAToken)?);
        if !json.expose().trim_ascii_start().starts_with(b"{") {
            return Err(TokenError::NotAToken);
        }
        let wire: Wire = serde_json::from_slice(json.expose()).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => TokenError::Members("unknown, repeated, missing or of the wrong type"),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => TokenError::NotAToken,
        })?;
        wire.into_token()
    }
}

/// The members of all generations.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    secret_key: Value,
    customer_id: Option<Value>,
    connection_id: Option<Value>,
    connection_secret: Option<Value>,
    customer_profile_secret: Option<Value>,
    meter_slug: Option<Value>,
    meter_id: Option<Value>,
    meter_secret: Option<Value>,
    product_id: Option<Value>,
    product_secret: Option<Value>,
    plan_id: Option<Value>,
    provider_key: Option<Value>,
    disable_billing: Option<bool>,
}

impl Wire {
    fn into_token(self) -> Result<ForwardToken, TokenError> {
        let customers = [
            self.customer_id,
            self.connection_id,
            self.connection_secret,
            self.customer_profile_secret,
        ];
        let meters = [
            self.meter_slug,
            self.meter_id,
            self.meter_secret,
            self.product_id,
            self.product_secret,
        ];
        if self.provider_key.as_ref().is_some_and(|key| key.0.trim() != key.0) {
            return Err(TokenError::Members("the provider key has a blank at its edge"));
        }
        let token = ForwardToken {
            secret_key: Secret::new(self.secret_key.0),
            customer: only(customers, "more than one customer")?,
            meter: only(meters, "more than one meter")?,
            plan: self.plan_id.map(|plan| plan.0),
            provider_key: self.provider_key.map(|key| Secret::new(key.0)),
            disable_billing: self.disable_billing.unwrap_or(false),
        };
        if token.customer.is_some() && token.meter.is_none() {
            return Err(TokenError::CustomerWithoutMeter);
        }
        Ok(token)
    }
}

/// The one that is set; several spellings of one thing with the same value are one.
fn only<const N: usize>(values: [Option<Value>; N], otherwise: &'static str) -> Result<Option<String>, TokenError> {
    let mut found: Option<String> = None;
    for Value(value) in values.into_iter().flatten() {
        if found.as_ref().is_some_and(|found| *found != value) {
            return Err(TokenError::Members(otherwise));
        }
        found = Some(value);
    }
    Ok(found)
}

/// A text that may stand in a header: 1 to 1,024 printable ASCII characters.
struct Value(String);

struct ValueVisitor;

impl serde::de::Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text of printable ASCII")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        let fits = (1..=1_024).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if fits {
            Ok(Value(text.to_owned()))
        } else {
            Err(E::custom("not printable ASCII"))
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::noise::Noise;

    fn decode(json: &str) -> Result<ForwardToken, TokenError> {
        ForwardToken::decode(&base64::engine::general_purpose::STANDARD.encode(json))
    }

    #[test]
    fn reads_every_generation() {
        let table = [
            (r#"{"secret_key":"s"}"#, None, None),
            (
                r#"{"secret_key":"s","connection_secret":"c","product_secret":"m"}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","connection_secret":null,"product_secret":null,"provider_key":"p"}"#,
                None,
                None,
            ),
            (
                r#"{"secret_key":"s","connection_secret":"c","meter_secret":"m"}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","customer_profile_secret":"c","plan_id":"sc_1","meter_secret":"m"}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","connection_id":"c","product_id":"m"}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{ "secret_key" : "s", "customer_id": "c", "connection_id": null, "meter_id": "m" }"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","connection_id":"c","meter_slug":"m"}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","customer_id":"c","meter_slug":"m","disable_billing":true}"#,
                Some("c"),
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","customer_id":null,"meter_slug":"m","disable_billing":null}"#,
                None,
                Some("m"),
            ),
            (
                r#"{"secret_key":"s","customer_id":"c","connection_id":"c","meter_slug":"m"}"#,
                Some("c"),
                Some("m"),
            ),
        ];
        for (json, customer, meter) in table {
            let token = decode(json).unwrap();
            assert_eq!(
                (token.customer.as_deref(), token.meter.as_deref()),
                (customer, meter),
                "{json}"
            );
            assert_eq!(token.secret_key.expose(), "s");
            assert_eq!(token.disable_billing, json.contains("true"));
        }
    }

    #[test]
    fn keeps_the_providers_key_and_shows_no_secret() {
        let token = decode(r#"{"secret_key":"s3cr3t","provider_key":"pr0v"}"#).unwrap();
        assert_eq!(
            token.provider_key.as_ref().map(|key| key.expose().as_str()),
            Some("pr0v")
        );
        assert!(!format!("{token:?}").contains("s3cr3t") && !format!("{token:?}").contains("pr0v"));
    }

    #[test]
    fn refuses_what_is_no_token() {
        let members = |error: &TokenError| matches!(error, TokenError::Members(_));
        let wrong = [
            r#"{}"#,
            r#"{"secret_key":null}"#,
            r#"{"secret_key":""}"#,
            r#"{"secret_key":5}"#,
            r#"{"secret_key":"a\nb"}"#,
            r#"{"secret_key":"é"}"#,
            r#"{"secret_key":"s","secret_key":"t"}"#,
            r#"{"secret_key":"s","customer_id":null,"customer_id":"c"}"#,
            r#"{"secret_key":"s","extra":1}"#,
            r#"{"secret_key":"s","disable_billing":"yes"}"#,
            r#"{"secret_key":"s","customer_id":"c","connection_id":"d","meter_slug":"m"}"#,
            r#"{"secret_key":"s","meter_slug":"m","meter_id":"n"}"#,
            r#"{"secret_key":"s","product_secret":"m","product_id":"n"}"#,
            r#"{"secret_key":"s","provider_key":" p"}"#,
            r#"{"secret_key":"s","provider_key":"p "}"#,
            r#"{"secret_key":"s","provider_key":" "}"#,
            r#"{"secret_key":"s","provider_key":"p\r\n"}"#,
        ];
        for json in wrong {
            let error = decode(json).unwrap_err();
            assert!(members(&error), "{json}: {error}");
        }
        for json in ["", "[]", r#"["s"]"#, "null", "{", r#"{"secret_key":"s"} x"#] {
            assert_eq!(decode(json).unwrap_err(), TokenError::NotAToken, "{json}");
        }
        for json in [
            r#"{"secret_key":"s","customer_id":"c"}"#,
            r#"{"secret_key":"s","customer_profile_secret":"c","plan_id":"sc_1"}"#,
            r#"{"secret_key":"s","connection_id":"c","meter_slug":null}"#,
        ] {
            assert_eq!(decode(json).unwrap_err(), TokenError::CustomerWithoutMeter, "{json}");
        }
        assert_eq!(ForwardToken::decode("a.b.c").unwrap_err(), TokenError::NotAToken);
        assert_eq!(
            ForwardToken::decode(&"A".repeat(4_097)).unwrap_err(),
            TokenError::TooLong
        );
    }

    #[test]
    fn both_alphabets_and_missing_padding_are_read_but_no_mixture() {
        let standard =
            base64::engine::general_purpose::STANDARD.encode(r#"{"secret_key":"s","provider_key":"~~~???>>>?"}"#);
        assert!(
            standard.contains('+') && standard.contains('/') && standard.ends_with('='),
            "{standard}"
        );
        let url_safe = standard.replace('+', "-").replace('/', "_");
        for text in [&standard, &url_safe] {
            for text in [text.as_str(), text.trim_end_matches('=')] {
                let token = ForwardToken::decode(text).expect(text);
                assert_eq!(token.provider_key.unwrap().expose(), "~~~???>>>?", "{text}");
            }
        }
        let mixed = standard.replace('+', "-");
        assert_eq!(ForwardToken::decode(&mixed).unwrap_err(), TokenError::NotAToken);
    }

    #[test]
    fn a_mutated_token_is_read_into_what_can_stand_in_a_header_or_refused() {
        let golden = [
            r#"{"secret_key":"s3cr3t","customer_id":"c","meter_slug":"m","provider_key":"pr0v","disable_billing":true}"#,
            r#"{"secret_key":"s3cr3t","customer_profile_secret":"c","plan_id":"sc_1","meter_secret":"m"}"#,
        ];
        let mut noise = Noise::new(0x94D0_49BB_1331_11EB);
        let mut tokens = 0;
        for case in 0..20_000 {
            let json = noise.mutate_json(golden[case % 2]);
            let text = base64::engine::general_purpose::STANDARD.encode(&json);
            let text = if case % 5 == 0 {
                noise.mutate(text.as_bytes())
            } else {
                text.into_bytes()
            };
            let Ok(token) = ForwardToken::decode(&String::from_utf8_lossy(&text)) else {
                continue;
            };
            tokens += 1;
            let shown = format!("{token:?}");
            let secrets = [Some(&token.secret_key), token.provider_key.as_ref()];
            for secret in secrets.into_iter().flatten().map(Secret::expose) {
                assert!(secret.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{secret:?}");
                assert!(!secret.is_empty() && secret.trim() == secret, "{secret:?}");
                assert!(secret.len() < 3 || !shown.contains(secret), "{shown}");
            }
            assert!(token.customer.is_none() || token.meter.is_some(), "{shown}");
        }
        assert!((1_000..15_000).contains(&tokens), "{tokens}");
    }
}
