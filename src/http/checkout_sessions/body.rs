//! The body of a new checkout session. Fields that are not known are ignored: none here sets a limit or a price. Older
//! clients call a customer a connection and a plan a subscription configuration, and know two modes more: `onboarding`,
//! which makes a customer and sells him nothing, and `topup`, which sells the bundle that his plan offers first.

use serde_json::{Map, Value};
use url::Url;

use crate::domain::checkout::CheckoutMode;
use crate::domain::ids::{CreditBundleId, PlanId};
use crate::http::error::ApiError;
use crate::http::fields::Fields;

/// What a merchant asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSession {
    pub wanted: Wanted,
    /// As it was given.
    pub origin_url: String,
    /// By id or by reference id; without one a customer is made as the session ends.
    pub customer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Plan(PlanId),
    Bundle(CreditBundleId),
    /// To become a customer.
    FirstPlan,
    /// The bundle that is set to be bought by itself, or else the plan's first.
    AnyBundle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedMode {
    Now(CheckoutMode),
    Onboarding,
    TopUp,
}

impl AskedMode {
    const WORDS: &'static [&'static str] = &["subscription", "credit_bundle", "onboarding", "topup"];

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "onboarding" => Some(Self::Onboarding),
            "topup" => Some(Self::TopUp),
            now => CheckoutMode::from_name(now).map(Self::Now),
        }
    }
}

impl WantedSession {
    /// `{checkout_mode, origin_url, plan_id | credit_bundle_id, customer_id?}`, or with the older names.
    pub fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = Fields::of_open_body(body);
        let mode = fields.word("checkout_mode", AskedMode::WORDS, AskedMode::from_name)?;
        let mode = fields.required("checkout_mode", mode)?;
        let what = "must be the address of the page that opens the checkout, such as \"https://example.com\"";
        let own = |text: &str| (text.len() <= 2048 && origin_of(text).is_some()).then(|| text.to_owned());
        let origin_url = fields.required("origin_url", fields.parsed("origin_url", what, own)?)?;
        let customer_name = named(body, ["customer_id", "connection_id"]);
        let customer = fields.text(customer_name, 255)?;
        let needs_customer = || fields.required(customer_name, customer.clone()).map(|_| ());
        let wanted = match mode {
            AskedMode::Now(CheckoutMode::Subscription) => {
                let name = named(body, ["plan_id", "subscription_config_id"]);
                let plan = fields.parsed(name, "must be the id of a plan", |text| text.parse().ok())?;
                Wanted::Plan(fields.required(name, plan)?)
            }
            AskedMode::Now(CheckoutMode::CreditBundle) => {
                needs_customer()?;
                let what = "must be the id of a credit bundle";
                let bundle = fields.parsed("credit_bundle_id", what, |text| text.parse().ok())?;
                Wanted::Bundle(fields.required("credit_bundle_id", bundle)?)
            }
            AskedMode::Onboarding => Wanted::FirstPlan,
            AskedMode::TopUp => {
                needs_customer()?;
                Wanted::AnyBundle
            }
        };
        Ok(Self {
            wanted,
            origin_url,
            customer: customer.value(),
        })
    }
}

/// Under which of its names a field is there: the older one only where the newer is not.
fn named(body: &Map<String, Value>, [new, old]: [&'static str; 2]) -> &'static str {
    if !body.contains_key(new) && body.contains_key(old) {
        old
    } else {
        new
    }
}

/// The origin of a page on the web, as browsers write it.
pub fn origin_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    is_web.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(body: Value) -> Value {
        let Value::Object(fields) = body else {
            return Value::Null;
        };
        let refused = WantedSession::read(&fields);
        refused.map_or_else(|error| error.body()["error"]["param"].clone(), |_| Value::Null)
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let (plan, bundle) = ("sc_00000000000000000000000002", "cb_00000000000000000000000002");
        let (origin, mode) = ("https://example.com", "subscription");
        let table = [
            (json!({}), json!("checkout_mode")),
            (json!({ "checkout_mode": "top-up" }), json!("checkout_mode")),
            (
                json!({ "checkout_mode": "topup", "origin_url": origin }),
                json!("customer_id"),
            ),
            (
                json!({ "checkout_mode": "topup", "origin_url": origin, "connection_id": "" }),
                json!("connection_id"),
            ),
            (
                json!({ "checkout_mode": "topup", "origin_url": origin, "connection_id": "u" }),
                Value::Null,
            ),
            (
                json!({ "checkout_mode": "onboarding", "origin_url": origin }),
                Value::Null,
            ),
            (
                json!({ "checkout_mode": mode, "origin_url": origin, "subscription_config_id": bundle }),
                json!("subscription_config_id"),
            ),
            (
                json!({ "checkout_mode": mode, "origin_url": origin, "subscription_config_id": plan }),
                Value::Null,
            ),
            (json!({ "checkout_mode": mode }), json!("origin_url")),
            (
                json!({ "checkout_mode": mode, "origin_url": "example.com" }),
                json!("origin_url"),
            ),
            (
                json!({ "checkout_mode": mode, "origin_url": "javascript:x" }),
                json!("origin_url"),
            ),
            (
                json!({ "checkout_mode": mode, "origin_url": "https://a:b@c.d" }),
                json!("origin_url"),
            ),
            (json!({ "checkout_mode": mode, "origin_url": origin }), json!("plan_id")),
            (
                json!({ "checkout_mode": mode, "origin_url": origin, "plan_id": bundle }),
                json!("plan_id"),
            ),
            (
                json!({ "checkout_mode": mode, "origin_url": origin, "plan_id": plan, "new": 1 }),
                Value::Null,
            ),
            (
                json!({ "checkout_mode": "credit_bundle", "origin_url": origin }),
                json!("customer_id"),
            ),
            (
                json!({ "checkout_mode": "credit_bundle", "origin_url": origin, "customer_id": "u" }),
                json!("credit_bundle_id"),
            ),
        ];
        for (body, param) in table {
            assert_eq!(refusal(body.clone()), param, "{body}");
        }
    }

    #[test]
    fn an_origin_is_what_the_browser_says() {
        let table = [
            ("https://Example.com/a?b", Some("https://example.com")),
            ("https://example.com:443", Some("https://example.com")),
            ("http://localhost:3000/", Some("http://localhost:3000")),
            ("https://bücher.de", Some("https://xn--bcher-kva.de")),
            ("ftp://example.com", None),
            ("data:text/html,x", None),
        ];
        for (url, origin) in table {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
    }
}
