//! Credentials at providers: several of the operator's, and those that merchants store; and the public directory.

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};

use crate::support::house::{House, chat, message, settings};
use crate::support::http::Client;
use crate::support::postgres::OwnCluster;
use crate::support::server::eventually;
use crate::support::simulator::Simulator;

fn store(house: &House, provider: &str, key: &str) -> Value {
    let body = json!({ "provider": provider, "key": key, "name": "mine" });
    let made = house.server.client().post("/v1/provider_keys", &body);
    made.expect_status(201).json()
}

#[test]
fn a_stored_credential_is_used_and_the_wallet_does_not_pay() {
    let house = House::with(|settings| settings.variable("GROQ_BASE_URL", "http://127.0.0.1:9/v1"));
    let secret = house.server.client();
    let managed = secret.post("/v1/chat/completions", &chat("output_tokens=5"));
    assert_eq!(house.row(&managed.expect_status(200))["provider_key_type"], "managed");
    let made = store(&house, "openai", "sk-my-own-key-1234");
    assert_eq!(made["key_hint"], "1234");
    assert_eq!((&made["provider"], &made["name"]), (&json!("openai"), &json!("mine")));
    assert!(!made.to_string().contains("sk-my-own"));
    let paid = || house.database.number("SELECT SUM(balance)::bigint FROM wallets");
    eventually("the managed call is paid", || paid() < 0);
    let before = paid();
    let (_, spend_key) = house.mint(json!({ "name": "one" }));
    for client in [house.server.client(), house.caller(&spend_key)] {
        let answer = client.post("/v1/chat/completions", &chat("output_tokens=5"));
        let row = house.row(&answer.expect_status(200));
        assert_eq!(
            (&row["provider_key_type"], &row["provider"]),
            (&json!("stored"), &json!("openai"))
        );
    }
    let other = secret.post("/v1/messages", &message("output_tokens=5"));
    assert_eq!(house.row(&other.expect_status(200))["provider_key_type"], "managed");
    let costs = "SELECT COALESCE(SUM(cost), 0)::bigint FROM requests WHERE provider = 'anthropic'";
    assert_eq!(paid(), before - house.database.number(costs));
    house.books_agree();
}

#[test]
fn a_call_in_need_of_a_credential_finds_the_stored_one_and_the_callers_own_stands_over_it() {
    let house = House::with(|settings| settings.variable("OPENAI_API_KEY", ""));
    let secret = house.server.client();
    assert_eq!(secret.post("/v1/chat/completions", &chat("")).status, 404);
    let opaque = "/v1/forward?u=https://api.openai.com/v1/files";
    assert_eq!(secret.get(opaque).status, 400);
    // The simulated provider refuses this one, so it shows which credential went out.
    store(&house, "openai", "bad");
    let refused = secret.post("/v1/chat/completions", &chat(""));
    assert_eq!(refused.status, 401, "the provider's own answer: {}", refused.text());
    assert_eq!(house.row(&refused)["provider_key_type"], "stored");
    let token = json!({ "secret_key": crate::support::server::secret_key(), "provider_key": "good" });
    let own = house.caller(&encoded(&token.to_string()));
    let answer = own.post("/v1/chat/completions", &chat("")).expect_status(200);
    assert_eq!(house.row(&answer)["provider_key_type"], "unmanaged");
    store(&house, "openai", "sk-good");
    secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    let listed = secret.get("/v1/models").expect_status(200).json();
    let owners = listed["data"].as_array().unwrap().iter();
    assert!(owners.clone().any(|model| model["owned_by"] == "openai"));
    let nobody = Client::new(&house.server.url()).get("/v1/models").expect_status(200);
    assert!(!nobody.text().contains("\"openai\""));
    let any_path = secret.get(opaque);
    assert_eq!(any_path.status, 404, "the provider's own answer: {}", any_path.text());
    assert_eq!(house.row(&any_path)["provider_key_type"], "stored");
    // Nothing is read of such a call, so no limit of a spend key could hold.
    let (_, limited) = house.mint(json!({ "name": "limited" }));
    assert_eq!(
        house.caller(&limited).get(opaque).error_code(),
        "forward_endpoint_not_supported"
    );
}

#[test]
fn one_credential_a_provider_is_kept_sealed_and_survives_a_restart() {
    let mut house = House::new();
    let first = store(&house, "openai", "sk-first-credential");
    let second = store(&house, "gemini", "sk-second-credential");
    assert_eq!(
        second["provider"], "google",
        "the price book's word for it is understood"
    );
    let third = store(&house, "openai", "bad");
    assert_eq!(third["key_hint"], "****");
    let ids = |path: &str| -> Vec<Value> {
        let page = house.server.client().get(path).expect_status(200).json();
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["provider_key_id"].clone()).collect()
    };
    assert_eq!(
        ids("/v1/provider_keys"),
        [third["provider_key_id"].clone(), second["provider_key_id"].clone()]
    );
    assert_eq!(ids("/v1/provider_keys?limit=1").len(), 1);
    let plain = "SELECT COUNT(*) FROM provider_keys WHERE encode(sealed, 'escape') LIKE '%credential%'";
    assert_eq!(house.database.number(plain), 0);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM provider_keys"), 2);
    let gone = format!("/v1/provider_keys/{}", first["provider_key_id"].as_str().unwrap());
    assert_eq!(house.server.client().delete(&gone).status, 404);
    house.server.kill();
    house.server.start_again();
    let secret = house.server.client();
    assert_eq!(secret.post("/v1/chat/completions", &chat("")).status, 401);
    let path = format!("/v1/provider_keys/{}", third["provider_key_id"].as_str().unwrap());
    let deleted = secret.delete(&path).expect_status(200).json();
    assert_eq!(
        deleted,
        json!({ "id": third["provider_key_id"].clone(), "deleted": true })
    );
    let answer = secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    assert_eq!(house.row(&answer)["provider_key_type"], "managed");
    assert_eq!(secret.delete(&path).status, 404);
    assert!(!house.server.stderr().contains("credential-"));
}

#[test]
fn a_sealed_credential_that_was_moved_stops_the_start() {
    let mut house = House::new();
    store(&house, "openai", "sk-first-credential");
    store(&house, "groq", "sk-second-credential");
    house.server.kill();
    house.database.execute(
        "UPDATE provider_keys SET sealed = (SELECT sealed FROM provider_keys WHERE provider = 'groq') WHERE provider = 'openai'",
    );
    house.server.start_again_unready();
    assert!(!house.server.wait_for_exit().success());
    assert!(house.server.stderr().contains("a stored secret cannot be opened"));
}

#[test]
fn without_its_database_calls_use_what_is_stored_and_a_change_that_is_held_up_is_not_made() {
    let cluster = OwnCluster::start();
    let (database, simulator) = (cluster.database("doubt"), Simulator::start());
    let server = settings(&database.url, &simulator).start();
    let house = House {
        server,
        database,
        simulator,
    };
    store(&house, "openai", "sk-first-credential");
    let secret = house.server.client();
    cluster.pause();
    let body = json!({ "provider": "openai", "key": "bad" });
    assert_eq!(secret.post("/v1/provider_keys", &body).status, 503);
    secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    cluster.resume();
    // What cannot be logged is not begun; what is held up in its own table is ended before its caller gives up.
    let mut other = house.database.connect();
    other
        .batch_execute("BEGIN; LOCK TABLE provider_keys IN EXCLUSIVE MODE")
        .unwrap();
    assert_eq!(secret.post("/v1/provider_keys", &body).status, 503);
    secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    other.batch_execute("COMMIT").unwrap();
    let hints = || {
        let listed = secret.get("/v1/provider_keys").expect_status(200).json();
        let keys = listed["data"].as_array().unwrap().clone();
        keys.iter().map(|key| key["key_hint"].clone()).collect::<Vec<_>>()
    };
    assert!(hints().len() == 1 && hints()[0] != "****", "{:?}", hints());
    secret.post("/v1/chat/completions", &chat("")).expect_status(200);
    secret.post("/v1/provider_keys", &body).expect_status(201);
    assert_eq!(hints(), ["****"]);
    assert_eq!(secret.post("/v1/chat/completions", &chat("")).status, 401);
}

#[test]
fn a_stored_credential_serves_its_merchant_alone() {
    let house = House::with(|settings| settings.variable("OPENAI_API_KEY", ""));
    let made = store(&house, "openai", "sk-of-the-first-merchant");
    let run = |arguments: &[&str]| house.server.ask(arguments);
    let merchant = run(&["merchants", "create", "--name", "second"]);
    let merchant_id = merchant["merchant_id"].as_str().unwrap();
    let secret = run(&["keys", "create", "--secret", "--merchant", merchant_id]);
    let other = house.caller(secret["secret_key"].as_str().or(secret["key"].as_str()).unwrap());
    let path = format!("/v1/provider_keys/{}", made["provider_key_id"].as_str().unwrap());
    assert_eq!(
        other.get("/v1/provider_keys").expect_status(200).json()["data"],
        json!([])
    );
    assert_eq!(other.delete(&path).status, 404);
    let call = other.post("/v1/chat/completions", &chat(""));
    assert_eq!((call.status, call.error_code().as_str()), (404, "model_not_found"));
    let own = json!({ "provider": "openai", "key": "bad" });
    other.post("/v1/provider_keys", &own).expect_status(201);
    assert_eq!(other.post("/v1/chat/completions", &chat("")).status, 401);
    let first = house.server.client();
    first.post("/v1/chat/completions", &chat("")).expect_status(200);
}

#[test]
fn bad_bodies_and_keys_of_the_wrong_kind_are_refused_by_name() {
    let house = House::new();
    let secret = house.server.client();
    let table = [
        (json!({}), "provider"),
        (json!({ "provider": "nobody", "key": "sk-x" }), "provider"),
        (json!({ "provider": 7, "key": "sk-x" }), "provider"),
        (json!({ "provider": "openai" }), "key"),
        (json!({ "provider": "openai", "key": "" }), "key"),
        (json!({ "provider": "openai", "key": "a b" }), "key"),
        (json!({ "provider": "openai", "key": "a\nb" }), "key"),
        (json!({ "provider": "openai", "key": "ключ" }), "key"),
        (json!({ "provider": "openai", "key": "x".repeat(5000) }), "key"),
        (json!({ "provider": "openai", "key": "sk-x", "name": "" }), "name"),
        (json!({ "provider": "openai", "key": "sk-x", "kay": 1 }), "kay"),
    ];
    for (body, param) in table {
        let answer = secret.post("/v1/provider_keys", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["param"], param, "{body}");
    }
    let (_, spend_key) = house.mint(json!({ "name": "one" }));
    let good = json!({ "provider": "openai", "key": "sk-x" });
    assert_eq!(house.caller(&spend_key).post("/v1/provider_keys", &good).status, 403);
    assert_eq!(
        Client::new(&house.server.url()).post("/v1/provider_keys", &good).status,
        401
    );
    assert_eq!(secret.delete("/v1/provider_keys/pvk_junk").status, 404);
    assert_eq!(house.database.number("SELECT COUNT(*) FROM provider_keys"), 0);
}

#[test]
fn of_several_credentials_the_one_that_is_turned_away_rests() {
    let house = House::with(|settings| settings.variable("OPENAI_API_KEYS", "good-one,bad,good-two*2"));
    let secret = house.server.client();
    let statuses: Vec<u16> = (0..12)
        .map(|_| secret.post("/v1/chat/completions", &chat("")).status)
        .collect();
    let refused = statuses.iter().filter(|status| **status == 502).count();
    assert_eq!(refused, 1, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 502)),
        "{statuses:?}"
    );
    // All of them are turned away, and still every call is sent.
    for _ in 0..5 {
        let limited = secret.post("/v1/chat/completions", &chat("status=429"));
        assert_eq!(limited.status, 429);
    }
    let log = house.server.stderr();
    assert!(log.contains("a credential of a provider cools down"), "{log}");
    assert!(!log.contains("good-one") && !log.contains("good-two"));
}

#[test]
fn the_operators_own_rows_are_served_and_may_need_no_credential() {
    let house = House::with(|settings| settings);
    let rows = format!(
        "[[provider]]\nname = \"my-host\"\nbase_url = \"{}/v1\"\nprivate = true\ncredential = \"none\"\n",
        house.simulator.url()
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("more.toml");
    std::fs::write(&path, rows).unwrap();
    let simulator = house.simulator.openai_url();
    let house = House::with(|settings| {
        settings
            .variable("CALDERA__FILES__MORE_PROVIDERS", path.display())
            .variable("MY_HOST_API_KEYS", "one,two")
            .variable("OLLAMA_BASE_URL", &simulator)
    });
    // The simulated provider wants a credential, so it shows that none goes out where none is needed.
    for (provider, status) in [("my-host", 200), ("ollama", 502)] {
        let mut call = chat("output_tokens=3");
        call["model"] = format!("{provider}/gpt-4o-mini").into();
        let answer = house.server.client().post("/v1/chat/completions", &call);
        assert_eq!(answer.status, status, "{provider}: {}", answer.text());
        assert_eq!(house.row(&answer)["provider"], provider);
    }
}

#[test]
fn the_directory_is_open_to_all_and_finds_providers_by_words() {
    let house = House::with(|settings| settings.variable("CALDERA__GATEWAY__FORWARD_HOSTS", "internal.example.com"));
    let nobody = Client::new(&house.server.url());
    let all = nobody.get("/v1/services").expect_status(200).json();
    assert!(!all.to_string().contains("internal.example.com") && !all.to_string().contains("127.0.0.1"));
    let count = all["data"].as_array().unwrap().len();
    assert!(count > 300, "{count}");
    let one = nobody.get("/v1/services?provider=openai").expect_status(200).json();
    let models = one["data"].as_array().unwrap();
    assert!(models.len() < count);
    let model = models.iter().find(|model| model["id"] == "gpt-4o-mini").unwrap();
    assert_eq!(model["pricing"]["input"], "0.15");
    assert_eq!(model["pricing"]["type"], "tokens_1m");
    assert_eq!(model["url_template"], "https://api.openai.com/v1/chat/completions");
    assert_eq!(
        (&model["managed"], &model["service_type"]),
        (&json!(true), &json!("model"))
    );
    assert_eq!(one["providers"][0]["entry_count"], models.len());
    house
        .server
        .client()
        .post("/v1/chat/completions", &model["example_body"])
        .expect_status(200);
    let nothing = nobody.get("/v1/services?provider=nobody").expect_status(200).json();
    assert_eq!(nothing, json!({ "object": "list", "data": [], "providers": [] }));
    let found = |query: &str| -> Vec<String> {
        let answer = nobody.get(&format!("/v1/services/providers{query}")).expect_status(200);
        let found = answer.json()["data"].as_array().unwrap().clone();
        found
            .iter()
            .map(|provider| provider["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("?query=anthropic")[0], "anthropic");
    assert_eq!(found("?query=Gemini%20Google")[0], "google");
    assert_eq!(found("?query="), [""; 0]);
    assert_eq!(found(""), [""; 0]);
    assert_eq!(found("?query=zzzzzz"), [""; 0]);
    assert_eq!(found("?query=openai&category=search"), [""; 0]);
    assert_eq!(nobody.post("/v1/services", &json!({})).status, 405);
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
