//! A server with its database and its simulated provider, and the words that most tests need.

use caldera::storage::proof;
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::http::{Answer, Client};
use super::postgres::{TestDatabase, database};
use super::server::{Server, ServerSettings, eventually};
use super::simulator::Simulator;

/// Everything of one test.
pub struct House {
    pub server: Server,
    pub database: TestDatabase,
    pub simulator: Simulator,
}

impl House {
    pub fn new() -> Self {
        Self::with(|settings| settings)
    }

    /// A house whose server is started with more settings.
    pub fn with(change: impl FnOnce(ServerSettings) -> ServerSettings) -> Self {
        let (database, simulator) = (database(), Simulator::start());
        let server = change(settings(&database.url, &simulator)).start();
        Self {
            server,
            database,
            simulator,
        }
    }

    /// Makes a spend key and returns its id and its plain text.
    pub fn mint(&self, body: Value) -> (String, String) {
        let made = self
            .server
            .client()
            .post("/v1/spend_keys", &body)
            .expect_status(201)
            .json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("spend_key_id"), text("key"))
    }

    /// The key as the management API shows it.
    pub fn key(&self, id: &str) -> Value {
        self.server
            .client()
            .get(&format!("/v1/spend_keys/{id}"))
            .expect_status(200)
            .json()
    }

    /// A request row, waited for.
    pub fn row(&self, answer: &Answer) -> Value {
        let id = answer
            .header("x-lava-request-id")
            .expect("every gateway answer names its request")
            .to_owned();
        self.row_of(&id)
    }

    pub fn row_of(&self, id: &str) -> Value {
        self.server
            .client()
            .get(&format!("/v1/requests/{id}"))
            .expect_status(200)
            .json()
    }

    pub fn caller(&self, key: &str) -> Client {
        self.server.client_with(key)
    }

    /// A client with the secret key of another merchant, who is made for it.
    pub fn stranger(&self) -> Client {
        let run = |arguments: &[&str]| self.server.ask(arguments);
        let merchant = run(&["merchants", "create", "--name", "Another"]);
        let merchant = merchant["merchant_id"].as_str().unwrap();
        let key = run(&["keys", "create", "--secret", "--name", "His", "--merchant", merchant]);
        self.caller(key["secret_key"].as_str().unwrap())
    }

    /// The secret key of a new test merchant.
    pub fn test_merchant(&self) -> String {
        let run = |arguments: &[&str]| self.server.ask(arguments);
        let merchant = run(&["merchants", "create", "--test", "--name", "Trying"]);
        let merchant = merchant["merchant_id"].as_str().unwrap();
        let key = run(&["keys", "create", "--secret", "--merchant", merchant]);
        key["secret_key"].as_str().unwrap().to_owned()
    }

    /// Waits until nothing is held for a key.
    pub fn settled(&self, id: &str) -> Value {
        eventually("every hold of the key has ended", || {
            self.key(id)["reserved_spend"] == "0.00"
        });
        self.key(id)
    }

    /// Checks that rows, counters, wallets and the ledger say the same, here and by the server's own proof.
    pub fn books_agree(&self) {
        // The rows of the last calls may still be on their way.
        eventually("the books agree", || Books::read(&self.database).agree());
        let books = Books::read(&self.database);
        assert!(books.agree(), "{books:?}");
        let invariants = proof::read(&mut self.database.connect(), None).unwrap();
        let broken: Vec<_> = invariants.iter().filter(|side| side.left != side.right).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }

    /// Both sides of every invariant of the merchant.
    pub fn proof(&self) -> Value {
        self.server.client().get("/v1/proof").expect_status(200).json()
    }
}

/// Both sides of each sum, read in one statement.
#[derive(Debug)]
struct Books(Vec<i64>);

impl Books {
    fn read(database: &TestDatabase) -> Self {
        // A call counts with its first attempt only.
        let sides = [
            "(SELECT COALESCE(SUM(cost), 0) FROM requests WHERE spend_key_id IS NOT NULL) \
             + (SELECT COALESCE(SUM(cost), 0) FROM purged_requests WHERE spend_key_id::text !~ '^[0-]+$')",
            "(SELECT COALESCE(SUM(total_spend), 0) FROM spend_key_counters)",
            "(SELECT COUNT(*) FROM requests WHERE spend_key_id IS NOT NULL AND attempt_of IS NULL) \
             + (SELECT COALESCE(SUM(call_count), 0) FROM purged_requests WHERE spend_key_id::text !~ '^[0-]+$')",
            "(SELECT COALESCE(SUM(total_requests), 0) FROM spend_key_counters)",
            "(SELECT COALESCE((SELECT SUM(amount) FROM movements WHERE account_kind = 'wallet'), 0) \
             - COALESCE((SELECT SUM(cost) FROM requests WHERE provider_key_type = 'managed'), 0) \
             - COALESCE((SELECT SUM(managed_cost) FROM purged_requests), 0))",
            "(SELECT SUM(balance) FROM wallets)",
            "(SELECT COALESCE(SUM(amount), 0) FROM ledger_entries)",
            "0",
        ];
        let sides: Vec<String> = sides.iter().map(|side| format!("({side})::bigint")).collect();
        Self(database.numbers(&format!("SELECT ARRAY[{}] AS numbers", sides.join(", "))))
    }

    fn agree(&self) -> bool {
        self.0.as_chunks::<2>().0.iter().all(|[one, other]| one == other)
    }
}

/// A server on this database whose OpenAI and Anthropic are the simulated provider.
pub fn settings(database_url: &str, simulator: &Simulator) -> ServerSettings {
    ServerSettings::default()
        .database(database_url)
        .variable("OPENAI_API_KEY", "sim")
        .variable("OPENAI_BASE_URL", simulator.openai_url())
        .variable("ANTHROPIC_API_KEY", "sim")
        .variable("ANTHROPIC_BASE_URL", format!("{}/v1", simulator.url()))
        .variable(
            "CALDERA__FILES__TRUSTED_CERTIFICATES",
            Certificates::shared().authority().display(),
        )
        // Tests make providers fail on purpose; those of the breakers switch them on.
        .variable("CALDERA__GATEWAY__BREAKER_FAILURES", 0)
        .variable("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", 1_000_000)
        .variable("CALDERA__MANAGEMENT__FAILED_CREDENTIALS_PER_MINUTE", 100_000)
}

/// A chat completion's body with a directive for the simulated provider.
pub fn chat(directive: &str) -> Value {
    json!({ "model": "gpt-4o-mini", "max_tokens": 64, "messages": [{ "role": "user", "content": format!("Hello [[sim {directive}]]") }] })
}

/// The same as a stream.
pub fn chat_stream(directive: &str) -> Value {
    let mut body = chat(directive);
    body["stream"] = true.into();
    body
}

/// A messages call's body.
pub fn message(directive: &str) -> Value {
    let content = format!("Hello [[sim {directive}]]");
    json!({ "model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{ "role": "user", "content": content }] })
}

/// Decimal dollars as nano-dollars.
pub fn nanos(value: &Value) -> i64 {
    let text = value.as_str().unwrap();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap();
    let fraction: i64 = format!("{fraction:0<9}").parse().unwrap();
    sign * (whole.parse::<i64>().unwrap() * 1_000_000_000 + fraction)
}
