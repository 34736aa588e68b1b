//! A house with receivers of its own, and what every test of webhooks needs: endpoints, events, and signatures that are
//! computed here anew.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caldera::domain::ids::{CustomerId, MerchantId};
use caldera::domain::webhook::EventName;
use caldera::storage::merchants;
use caldera::storage::webhooks::{NewEvent, emit, emit_balances};
use diesel::Connection as _;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::house::House;
use crate::support::scripted::{Scripted, Seen, answer};
use crate::support::server::eventually;

/// A server that may send to this test's receivers.
pub struct Post {
    pub house: House,
    pub merchant: MerchantId,
}

/// One endpoint, with its secret.
pub struct Endpoint {
    pub id: String,
    pub secret: String,
}

impl Endpoint {
    pub fn path(&self) -> String {
        format!("/v1/webhooks/{}", self.id)
    }
}

/// A receiver that answers by the place of the request among those with the same event id, from zero.
pub fn receiver(script: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Scripted {
    let counts = Arc::new(std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new()));
    Scripted::start(move |seen| {
        let id = seen.header("webhook-id").unwrap_or_default().to_owned();
        let place = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(id).or_default();
            *count += 1;
            *count - 1
        };
        script(place)
    })
}

pub fn ok() -> Vec<u8> {
    answer("200 OK", &[], b"thanks")
}

impl Post {
    pub fn to(receivers: &[&Scripted]) -> Self {
        let places: Vec<String> = receivers
            .iter()
            .map(|receiver| format!("127.0.0.1:{}", receiver.port))
            .collect();
        let house =
            House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", places.join(",")));
        let merchant = merchants::list(&mut house.database.connect()).unwrap()[0].id;
        Self { house, merchant }
    }

    pub fn endpoint(&self, receiver: &Scripted) -> Endpoint {
        self.endpoint_of(&json!({ "name": "mine", "url": url_of(receiver) }))
    }

    fn endpoint_of(&self, body: &Value) -> Endpoint {
        let made = self.create(body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Endpoint {
            id: text("webhook_id"),
            secret: text("webhook_secret"),
        }
    }

    pub fn create(&self, body: &Value) -> Value {
        let made = self.house.server.client().post("/v1/webhooks", body);
        made.expect_status(201).json()
    }

    pub fn get(&self, path: &str) -> Value {
        self.house.server.client().get(path).expect_status(200).json()
    }

    /// Something happens to a customer; it is committed, and nobody rings.
    pub fn happens(&self, name: EventName, subject: u128, data: Value) {
        let event = NewEvent {
            name,
            subject,
            at_ms: chrono::Utc::now().timestamp_millis(),
            data,
        };
        let mut connection = self.house.database.connect();
        connection
            .transaction(|connection| emit(connection, self.merchant, &event))
            .unwrap();
    }

    pub fn customers_come(&self, count: u128) {
        for number in 0..count {
            self.happens(
                EventName::CustomerCreated,
                number,
                json!({ "number": number.to_string() }),
            );
        }
    }

    /// An endpoint that is told of balances alone.
    pub fn balance_endpoint(&self, receiver: &Scripted) -> Endpoint {
        let events = ["customer.wallet.balance.updated"];
        self.endpoint_of(&json!({ "name": "mine", "url": url_of(receiver), "events": events }))
    }

    /// A customer of this name.
    pub fn customer(&self, name: &str) -> CustomerId {
        let body = json!({ "name": name });
        let made = self.house.server.client().post("/v1/customers", &body);
        let made = made.expect_status(201).json();
        made["customer_id"].as_str().unwrap().parse().unwrap()
    }

    /// A customer has another name, so that it shows when he was described, and his balance has changed.
    pub fn changes(&self, customer: CustomerId, name: &str) {
        let body = json!({ "name": name });
        let client = self.house.server.client();
        client
            .patch(&format!("/v1/customers/{customer}"), &body)
            .expect_status(200);
        let mut connection = self.house.database.connect();
        let now_ms = chrono::Utc::now().timestamp_millis();
        connection
            .transaction(|connection| emit_balances(connection, &[(self.merchant, customer)], now_ms))
            .unwrap();
    }

    /// The deliveries of an endpoint with this status.
    pub fn deliveries(&self, endpoint: &Endpoint, status: &str) -> Vec<Value> {
        let page = self.get(&format!("{}/deliveries?limit=100&status={status}", endpoint.path()));
        page["data"].as_array().unwrap().clone()
    }

    pub fn await_deliveries(&self, endpoint: &Endpoint, status: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} deliveries are {status}"), || {
            self.deliveries(endpoint, status).len() == count
        });
        self.deliveries(endpoint, status)
    }

    /// Lets the next attempt of all that waits be due.
    pub fn hurry(&self) {
        self.house
            .database
            .execute("UPDATE webhook_deliveries SET due_at = now() WHERE status = 'pending' AND leased_until IS NULL");
    }

    /// How long after the last attempt the next one is due, in milliseconds.
    pub fn delay_ms(&self) -> i64 {
        self.house
            .database
            .number("SELECT (extract(epoch FROM max(due_at - last_attempt_at)) * 1000)::bigint FROM webhook_deliveries")
    }
}

pub fn url_of(receiver: &Scripted) -> String {
    format!("http://127.0.0.1:{}/hooks", receiver.port)
}

pub fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Standard Webhooks says the signature must be.
pub fn standard_signature(secret: &str, seen: &Seen) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, timestamp) = (
        seen.header("webhook-id").unwrap(),
        seen.header("webhook-timestamp").unwrap(),
    );
    let signed = format!("{id}.{timestamp}.{}", seen.text());
    format!("v1,{}", STANDARD.encode(hmac(&key, &signed)))
}

/// Checks every signature of a message against this secret alone.
pub fn check_signatures(secret: &str, seen: &Seen) {
    let plain = hex(&hmac(secret.as_bytes(), &seen.text()));
    assert_eq!(seen.header("x-webhook-signature"), Some(plain.as_str()));
    assert_eq!(
        seen.header("webhook-signature"),
        Some(standard_signature(secret, seen).as_str())
    );
    let timestamp = seen.header("webhook-timestamp").unwrap();
    let timed = hex(&hmac(secret.as_bytes(), &format!("{timestamp}.{}", seen.text())));
    assert_eq!(
        seen.header("x-lava-signature"),
        Some(format!("t={timestamp},v1={timed}").as_str())
    );
    let age_s = chrono::Utc::now().timestamp() - timestamp.parse::<i64>().unwrap();
    assert!((0..60).contains(&age_s), "signed {age_s} s ago");
}
