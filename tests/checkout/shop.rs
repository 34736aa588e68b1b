//! A merchant with something to sell, and a customer's way through his checkout.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::{Answer, Client};

pub const ORIGIN: &str = "https://shop.example.com";

/// See the module.
pub struct Shop {
    pub house: House,
    pub client: Client,
    pub key: String,
}

/// A plan of $25 with a bundle.
pub fn pro() -> Value {
    json!({
        "name": "Pro", "period_amount": "25", "billing_interval": "month", "rollover_type": "full",
        "credit_bundles": [{ "name": "Small", "cost": "9", "credit_amount": "10" }],
    })
}

impl Shop {
    /// A test merchant's.
    pub fn trying() -> Self {
        let house = House::new();
        let key = house.test_merchant();
        let client = house.caller(&key);
        Self { house, client, key }
    }

    /// A caller for one of its customers.
    pub fn caller(&self, customer: &Value, meter: &str) -> Client {
        let token = json!({ "secret_key": self.key, "customer_id": customer, "meter_slug": meter });
        self.house.caller(&STANDARD.encode(token.to_string()))
    }

    pub fn plan(&self) -> Value {
        self.client.post("/v1/plans", &pro()).expect_status(201).json()
    }

    pub fn plan_of(&self, name: &str, price: &str) -> Value {
        let body =
            json!({ "name": name, "period_amount": price, "billing_interval": "month", "rollover_type": "full" });
        self.client.post("/v1/plans", &body).expect_status(201).json()
    }

    pub fn session_answer(&self, mut body: Value) -> Answer {
        body["origin_url"] = json!(format!("{ORIGIN}/pricing"));
        self.client.post("/v1/checkout_sessions", &body)
    }

    pub fn session(&self, body: Value) -> Value {
        self.session_answer(body).expect_status(201).json()
    }

    /// A checkout of the plan for somebody new.
    pub fn subscribe(&self, plan: &Value) -> Visit {
        let body = json!({ "checkout_mode": "subscription", "plan_id": plan["plan_id"] });
        self.visit(&self.session(body))
    }

    pub fn read(&self, session: &Value) -> Value {
        let id = session["checkout_session_id"].as_str().unwrap();
        self.client
            .get(&format!("/v1/checkout_sessions/{id}"))
            .expect_status(200)
            .json()
    }

    /// What the package makes of the answer: the page.
    pub fn visit(&self, session: &Value) -> Visit {
        let token = STANDARD
            .decode(session["checkout_session_token"].as_str().unwrap())
            .unwrap();
        let token: Value = serde_json::from_slice(&token).unwrap();
        assert_eq!(token["base"], format!("{}/", self.house.server.url()));
        let form = "application/x-www-form-urlencoded";
        Visit {
            client: Client::new(&self.house.server.url()).with_header("content-type", form),
            path: format!("/embed/checkout/{}", token["secret"].as_str().unwrap()),
            session: session.clone(),
        }
    }

    /// The only customer's cycle and bundle credit, in nano-dollars.
    pub fn credit(&self) -> [i64; 2] {
        let numbers = self
            .house
            .database
            .numbers("SELECT ARRAY[sum(cycle)::bigint, sum(bundle)::bigint] AS numbers FROM customer_credit");
        [numbers[0], numbers[1]]
    }

    /// Neither in the database nor in what was said.
    pub fn keeps_no_card_number(&self) {
        for table in ["payments", "payment_methods", "payers", "checkout_sessions"] {
            let query = format!(
                "SELECT count(*) FROM {table} AS t WHERE replace(t::text, ' ', '') ~ '4242424242424242|4111111111111111'"
            );
            assert_eq!(self.house.database.number(&query), 0, "{table}");
        }
        let said = format!("{}{}", self.house.server.stdout(), self.house.server.stderr()).replace(' ', "");
        assert!(!said.contains("424242424242") && !said.contains("css_"));
    }
}

/// A customer's browser at one session.
pub struct Visit {
    client: Client,
    path: String,
    pub session: Value,
}

impl Visit {
    pub fn get(&self) -> Answer {
        self.client.get(&self.path)
    }

    pub fn page(&self) -> String {
        self.get().expect_status(200).text()
    }

    pub fn post(&self, event: &str, form: &str) -> Answer {
        let path = format!("{}/{event}", self.path);
        self.client.send("POST", &path, Some(form.as_bytes().to_vec()))
    }

    /// The number, where none is on file, and the code of test mode.
    pub fn enter_code(&self) {
        self.post("phone", "phone=%2B4930123456").expect_status(303);
        self.post("code", "code=000000").expect_status(303);
    }

    pub fn enter_card(&self, number: &str) -> Answer {
        let number = number.replace(' ', "+");
        self.post("card", &format!("number={number}&expiry=12+%2F+34&cvc=123"))
    }
}
