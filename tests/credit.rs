//! Customers' credit under load: it is never overdrawn by more than the last chunk of a stream, no charge is lost or made
//! twice whatever is killed, and whatever a merchant changes while calls run, the books agree.

mod changes;
mod crashes;
mod departures;
mod dollar;
mod renewals;
mod senders;
mod twins;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::house::{House, nanos};
use crate::support::http::Answer;
use crate::support::server::{eventually, secret_key};

/// The meter that every shop has.
const SLUG: &str = "words";

/// A house with a meter, a plan that has it, and a customer on the plan.
struct Shop {
    house: House,
    meter: String,
    customer: String,
}

impl Shop {
    fn new(meter: Value, credit: &str) -> Self {
        Self::in_house(House::new(), meter, credit)
    }

    fn in_house(house: House, meter: Value, credit: &str) -> Self {
        let meter = house
            .server
            .client()
            .post("/v1/meters", &meter)
            .expect_status(201)
            .json();
        let mut shop = Self {
            house,
            meter: meter["meter_id"].as_str().unwrap().to_owned(),
            customer: String::new(),
        };
        let plan = shop.plan(credit);
        shop.customer = shop.customer_on("jane", &plan);
        shop
    }

    /// A free plan of a month with this credit, on which is the meter.
    fn plan(&self, credit: &str) -> String {
        let plan = json!({
            "name": credit, "period_amount": "0", "billing_interval": "month", "included_credit": credit,
            "meter_ids": [self.meter],
        });
        let made = self
            .house
            .server
            .client()
            .post("/v1/plans", &plan)
            .expect_status(201)
            .json();
        made["plan_id"].as_str().unwrap().to_owned()
    }

    fn customer_on(&self, reference: &str, plan: &str) -> String {
        let client = self.house.server.client();
        let made = client.post("/v1/customers", &json!({ "reference_id": reference }));
        self.subscribe(reference, plan).expect_status(201);
        made.json()["customer_id"].as_str().unwrap().to_owned()
    }

    fn subscribe(&self, customer: &str, plan: &str) -> Answer {
        let body = json!({ "customer_id": customer, "plan_id": plan });
        self.house.server.client().post("/v1/subscriptions", &body)
    }

    /// A forward token of a customer.
    fn token_of(&self, customer: &str) -> String {
        let token = json!({ "secret_key": secret_key(), "customer_id": customer, "meter_slug": SLUG });
        base64::engine::general_purpose::STANDARD.encode(token.to_string())
    }

    fn token(&self) -> String {
        self.token_of(&self.customer)
    }

    fn subscription(&self) -> Value {
        let path = format!("/v1/customers/{}/subscription", self.customer);
        self.house.server.client().get(&path).expect_status(200).json()["subscription"].clone()
    }

    fn credit(&self) -> i64 {
        nanos(&self.subscription()["credits"]["total_remaining"])
    }

    fn number(&self, query: &str) -> i64 {
        self.house.database.number(query)
    }

    /// What the rows say that customers were charged.
    fn charged(&self) -> i64 {
        self.number("SELECT coalesce(sum(charge), 0)::bigint FROM requests")
    }

    /// What subscriptions brought, less what lapsed.
    fn granted(&self) -> i64 {
        self.number("SELECT coalesce(sum(amount), 0)::bigint FROM movements WHERE account_kind <> 'wallet'")
    }

    /// Waits until every call has its row, and checks that nothing is held, that credit is what was granted less what
    /// was charged, and that the books agree.
    fn check_books(&self) {
        eventually("nothing is held any more", || self.held() == 0);
        eventually("credit is what was granted less what was charged", || {
            self.credit() == self.granted() - self.charged()
        });
        let stored = "SELECT sum(cycle + bundle)::bigint FROM customer_credit";
        assert_eq!(self.number(stored), self.granted() - self.charged());
        self.house.books_agree();
        assert_eq!(self.house.proof()["holds"], true);
    }

    /// What a refusal says is held of the customer's credit. The call must be more than he has credit for.
    fn held(&self) -> i64 {
        let messages = json!([{ "role": "user", "content": "More than anybody has credit for" }]);
        let body = json!({ "model": "gpt-4o", "max_tokens": 16_000, "n": 128, "messages": messages });
        let refused = self.house.caller(&self.token()).post("/v1/chat/completions", &body);
        let error = refused.json()["error"].clone();
        assert_eq!(error["scope"], "customer", "{error}");
        nanos(&error["held"])
    }
}

fn meter(rate_type: &str, tier_type: &str, tiers: &[(u64, &str)]) -> Value {
    let tier = |(start, rate): &(u64, &str)| json!({ "start": start, "rate": rate });
    let tiers: Vec<_> = tiers.iter().map(tier).collect();
    json!({ "name": "Words", "meter_slug": SLUG, "rate_type": rate_type, "tier_type": tier_type, "tiers": tiers })
}
