//! One call to Stripe: form-encoded, with the key it is known by again; made up to three times with the same key while
//! there is no answer that says how it ended.

use std::fmt;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use url::form_urlencoded::Serializer;

use crate::engine::payments::PaymentTrouble;

use super::Client;
use super::answers::Answer;

/// The form of answers that is read here.
const API_VERSION: &str = "2024-06-20";
/// The processor may ask a bank meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
const LARGEST_ANSWER_BYTES: usize = 1 << 20;
/// How long it waits before each further try.
const TRY_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1_500)];

/// The fields of a call.
#[derive(Default)]
pub struct Form(Vec<(&'static str, String)>);

impl Form {
    pub fn set(&mut self, name: &'static str, value: impl fmt::Display) {
        self.0.push((name, value.to_string()));
    }

    fn encoded(&self) -> String {
        let mut encoder = Serializer::new(String::new());
        encoder.extend_pairs(self.0.iter().map(|(name, value)| (*name, value.as_str())));
        encoder.finish()
    }
}

/// What is asked.
pub struct Call {
    method: Method,
    /// With its query.
    path: String,
    body: String,
    idempotency_key: Option<String>,
}

impl Call {
    pub fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            body: String::new(),
            idempotency_key: None,
        }
    }

    /// What is done once for this key, however often it is asked.
    pub fn post(path: impl Into<String>, form: Form, key: String) -> Self {
        Self {
            idempotency_key: Some(key),
            ..Self::post_once(path, form)
        }
    }

    /// What may be done twice without harm.
    pub fn post_once(path: impl Into<String>, form: Form) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body: form.encoded(),
            idempotency_key: None,
        }
    }
}

pub async fn send(client: &Client, call: &Call) -> Result<Answer, PaymentTrouble> {
    for pause in TRY_AGAIN_AFTER {
        match send_once(client, call).await {
            Err(PaymentTrouble::Away(reason)) => {
                tracing::warn!(reason, path = call.path, "the payment processor is asked again");
                tokio::time::sleep(pause).await;
            }
            ended => return ended,
        }
    }
    send_once(client, call).await
}

async fn send_once(client: &Client, call: &Call) -> Result<Answer, PaymentTrouble> {
    let url = format!("{}{}", client.account.api_url, call.path);
    let mut request = client
        .http
        .request(call.method.clone(), url)
        .no_decompress()
        .timeout(ANSWER_TIMEOUT);
    let refused = |_| PaymentTrouble::Refused("the key or the call cannot be written as a header".to_owned());
    let bearer = format!("Bearer {}", client.account.secret_key.expose());
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(bearer).map_err(refused)?);
    headers.insert(
        HeaderName::from_static("stripe-version"),
        HeaderValue::from_static(API_VERSION),
    );
    if let Some(key) = &call.idempotency_key {
        let key = HeaderValue::try_from(key.as_str()).map_err(refused)?;
        headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    let sent = if call.method == Method::GET {
        request.send()
    } else {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        request.send_body(call.body.clone())
    };
    let mut answer = sent.await.map_err(|error| PaymentTrouble::Away(error.to_string()))?;
    let body = tokio::time::timeout(ANSWER_TIMEOUT, answer.body().limit(LARGEST_ANSWER_BYTES)).await;
    let body = body.map_err(|_| PaymentTrouble::Away("its answer did not end".to_owned()))?;
    let body = body.map_err(|error| PaymentTrouble::Away(error.to_string()))?;
    Answer::read(answer.status(), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_in_order() {
        let mut form = Form::default();
        form.set("amount", 2500);
        form.set("metadata[payment_id]", "pay_1");
        form.set("description", "Pro & more = ü");
        assert_eq!(
            Call::post("/v1/x", form, "key".to_owned()).body,
            "amount=2500&metadata%5Bpayment_id%5D=pay_1&description=Pro+%26+more+%3D+%C3%BC"
        );
    }
}
