//! A POST that names an idempotency key: what is told apart by, and how its answer is kept. The row holds a keyed hash of
//! the key, and the answer sealed with a key that is derived from the caller's own text: neither shows in a dump, and an
//! answer that holds a secret opens only to who sends the same key again.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::secret::Secret;
use crate::engine::sealing::SealingKey;
use crate::http::auth::KeyManagerAuth;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::storage::idempotency::{Fingerprint, Place};

/// The header that names a key.
pub const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";
const LONGEST_KEY: usize = 255;
/// What the derived sealing keys are for.
const PURPOSE: &[u8] = b"caldera idempotent answers, form 1";
/// The key's standing at its rate limit is that of each call.
const OF_EACH_CALL: &str = "x-ratelimit-";

/// A POST with its key.
pub struct KeyedCall {
    pub place: Place,
    pub fingerprint: Fingerprint,
    pub body: Bytes,
    sealing: SealingKey,
}

impl KeyedCall {
    /// Keys of two merchants never meet, nor those of a wallet's key and of anyone else.
    pub fn new(request: &HttpRequest, state: &AppState, auth: &KeyManagerAuth, body: Bytes) -> Result<Self, ApiError> {
        let key = read_key(request.headers())?;
        let merchant_id = auth.merchant_id();
        let wallet = auth.only_wallet().map(|id| id.to_string()).unwrap_or_default();
        let named = format!("idempotency key|{merchant_id}|{wallet}|{key}");
        let mut digest = Sha256::new();
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        digest.update(format!("{}\n{target}\n", request.method()));
        digest.update(&body);
        Ok(Self {
            place: Place {
                merchant_id,
                key_hash: state.keyring.hash(&named),
            },
            fingerprint: digest.finalize().into(),
            body,
            sealing: state.sealing.derive(key.as_bytes(), PURPOSE),
        })
    }

    /// The answer as it is stored.
    pub fn seal(&self, head: &HttpResponse<()>, body: &Bytes) -> Result<Vec<u8>, ApiError> {
        let failed = |error: &dyn std::fmt::Display| ApiError::internal("sealing an answer", error);
        let kept = head
            .headers()
            .iter()
            .filter(|(name, _)| !name.as_str().starts_with(OF_EACH_CALL));
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = value.to_str().map_err(|error| failed(&error))?;
            Ok((name.as_str().to_owned(), value.to_owned()))
        };
        let answer = Answer {
            status: head.status().as_u16(),
            headers: kept.map(header).collect::<Result<_, ApiError>>()?,
            body: String::from_utf8(body.to_vec()).map_err(|error| failed(&error))?,
        };
        let text = serde_json::to_string(&answer).map_err(|error| failed(&error))?;
        let sealed = self.sealing.seal(&self.seal_place(), &Secret::new(text));
        sealed.map_err(|error| failed(&error))
    }

    /// A stored answer, byte for byte, marked as one that was given before.
    pub fn replay(&self, sealed: &[u8]) -> Result<HttpResponse<BoxBody>, ApiError> {
        let failed = |error: &dyn std::fmt::Display| ApiError::internal("opening a stored answer", error);
        let text = self.sealing.open(&self.seal_place(), sealed);
        let text = text.map_err(|error| failed(&error))?;
        let answer: Answer = serde_json::from_str(text.expose()).map_err(|error| failed(&error))?;
        let status = StatusCode::from_u16(answer.status).map_err(|error| failed(&error))?;
        let mut response = HttpResponse::build(status);
        for header in answer.headers {
            response.append_header(header);
        }
        response.insert_header((REPLAYED, "true"));
        Ok(response.body(answer.body))
    }

    fn seal_place(&self) -> String {
        let hash: String = self.place.key_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("idempotency_keys|{}|{hash}|answer", self.place.merchant_id)
    }
}

/// It may hold a secret, so it is written only to be sealed.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

fn read_key(headers: &HeaderMap) -> Result<&str, ApiError> {
    let wrong = |what: &str| ApiError::invalid("Idempotency-Key", what);
    let mut values = headers.get_all(HEADER);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(wrong("is there twice"));
    }
    let key = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_key = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key {
        Ok(key)
    } else {
        Err(wrong("must have 1 to 255 visible ASCII characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_short_visible_text() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    HeaderName::from_static(HEADER),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            headers
        };
        let longest = "x".repeat(255);
        for key in ["a", "order-1/2?%", &longest] {
            assert_eq!(read_key(&headers(&[key])).unwrap(), key);
        }
        let long = "x".repeat(256);
        let refused: [&[&str]; 7] = [&[""], &["a b"], &["a\tb"], &["é"], &[&long], &["a", "b"], &["a", "a"]];
        for values in refused {
            let error = read_key(&headers(values)).unwrap_err();
            assert_eq!(error.extra()["param"], "Idempotency-Key", "{values:?}");
        }
    }
}
