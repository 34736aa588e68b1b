//! AI Spend: what is shown of keys, what is changed, and what bad input gets.

use serde_json::{Value, json};

use crate::support::house::{House, chat};
use crate::support::server::secret_key;
use crate::support::visitor::Visitor;

const HOME: &str = "/dashboard/spend_keys";
const NEW: &str = "/dashboard/spend_keys/new";

fn house_and_visitor() -> (House, Visitor) {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    (house, visitor)
}

fn keys(house: &House) -> Vec<Value> {
    let list = house.server.client().get("/v1/spend_keys").expect_status(200).json();
    list["data"].as_array().unwrap().clone()
}

/// The status of a call with this key.
fn calling(house: &House, key: &str) -> u16 {
    house
        .caller(key)
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .status
}

/// The secret on the page that a minting or a rotation leads to.
fn secret_at(visitor: &Visitor, path: &str) -> Option<String> {
    let page = visitor.page(path);
    let (_, rest) = page.split_once("id=\"secret-text\">")?;
    rest.split('<').next().map(str::to_owned)
}

#[test]
fn a_key_is_minted_shown_once_and_works() {
    let (house, mut visitor) = house_and_visitor();
    assert!(visitor.page(HOME).contains("No spend keys yet"));
    let fields = [
        ("name", "agent"),
        ("amount", "5.00"),
        ("cycle", "daily"),
        ("rpm", "60"),
        ("request_shape", "openai"),
    ];
    let answer = visitor.submit(NEW, HOME, &fields).expect_status(303);
    let path = answer.header("location").unwrap().to_owned();
    let secret = secret_at(&visitor, &path).expect("it is shown");
    assert!(secret.starts_with("lava_sk_"));
    assert_eq!(secret_at(&visitor, &path), None, "reloading shows it no more");
    assert_eq!(calling(&house, &secret), 200);
    let key = &keys(&house)[0];
    assert_eq!(key["spend_limit"], json!({"amount": "5.00", "cycle": "daily"}));
    assert_eq!(key["rate_limit"], json!({"rpm": 60, "burst": null}));
    let page = visitor.page(HOME);
    assert!(page.contains("agent") && !page.contains(&secret));
}

#[test]
fn a_key_is_paused_resumed_edited_rotated_and_revoked() {
    let (house, mut visitor) = house_and_visitor();
    let (id, secret) = house.mint(json!({ "name": "agent", "tags": ["team-a"] }));
    let path = format!("{HOME}/{id}");
    let does = |visitor: &mut Visitor, verb: &str, fields: &[(&str, &str)]| {
        let answer = visitor
            .submit(&path, &format!("{path}/{verb}"), fields)
            .expect_status(303);
        answer.header("location").unwrap().to_owned()
    };
    let to = does(&mut visitor, "pause", &[]);
    assert!(visitor.page(&to).contains("New calls are refused"));
    assert_eq!(calling(&house, &secret), 401);
    does(&mut visitor, "resume", &[]);
    assert_eq!(calling(&house, &secret), 200);

    let edit = format!("{path}/edit");
    assert!(visitor.page(&edit).contains(">team-a</textarea>"));
    let fields = [
        ("name", "renamed"),
        ("amount", "7.5"),
        ("cycle", "weekly"),
        ("tags", "x\r\ny, z"),
        ("request_shape", "openai"),
    ];
    visitor.submit(&edit, &path, &fields).expect_status(303);
    let key = house.key(&id);
    assert_eq!((&key["name"], &key["tags"]), (&json!("renamed"), &json!(["x", "y, z"])));
    assert_eq!(key["spend_limit"], json!({"amount": "7.50", "cycle": "weekly"}));

    let to = does(&mut visitor, "rotate", &[("grace_seconds", "0")]);
    let rotated = secret_at(&visitor, &to).expect("the new secret is shown");
    assert_eq!(calling(&house, &secret), 401);
    assert_eq!(calling(&house, &rotated), 200);
    assert_eq!(secret_at(&visitor, &to), None, "the back button shows it no more");
    assert_eq!(calling(&house, &rotated), 200, "and rotates nothing");

    does(&mut visitor, "revoke", &[]);
    assert_eq!(calling(&house, &rotated), 401);
    let gone = visitor.get(&path);
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("There is no such spend key"), "{}", gone.text());
    let late = visitor.submit(HOME, &format!("{path}/pause"), &[]);
    assert_eq!(late.status, 404, "a revoked key in an open page");
}

#[test]
fn what_is_wrong_with_a_form_stands_beside_its_field_and_nothing_typed_is_lost() {
    let (house, mut visitor) = house_and_visitor();
    let long = "n".repeat(1000);
    let table: [(&[(&str, &str)], &str); 10] = [
        (&[("name", "")], "wrong-name"),
        (&[("name", &long)], "wrong-name"),
        (
            &[("name", "n"), ("amount", "-1"), ("cycle", "daily")],
            "wrong-spend_limit",
        ),
        (
            &[("name", "n"), ("amount", "five"), ("cycle", "daily")],
            "wrong-spend_limit",
        ),
        (
            &[("name", "n"), ("requests", "1.5"), ("request_cycle", "daily")],
            "wrong-request_limit",
        ),
        (&[("name", "n"), ("burst", "9")], "wrong-rate_limit"),
        (&[("name", "n"), ("enforcement", "none")], "wrong-enforcement"),
        (&[("name", "n"), ("request_shape", "none")], "wrong-request_shape"),
        (&[("name", "n"), ("allowed_ips", "nowhere")], "wrong-allowed_ips"),
        (&[("name", "n"), ("expires_at", "2001-01-01T00:00")], "wrong-expires_at"),
    ];
    for (fields, wrong) in table {
        let answer = visitor.submit(NEW, HOME, fields);
        assert_eq!(answer.status, 422, "{wrong}");
        let page = answer.text();
        assert!(page.contains(&format!("id=\"{wrong}\"")), "{wrong}: {page}");
        let fault = format!("aria-invalid=\"true\" aria-describedby=\"{wrong}\" autofocus");
        assert!(page.contains(&fault), "{wrong}: {page}");
        assert_eq!(page.matches(" autofocus").count(), 1, "{wrong}: {page}");
        assert!(page.contains("value=\"n") || wrong == "wrong-name");
    }
    assert!(keys(&house).is_empty());
}

#[test]
fn saving_a_key_leaves_alone_what_nobody_edited() {
    let (house, mut visitor) = house_and_visitor();
    let settings = json!({
        "name": "agent", "tags": ["a, b", "c"], "allowed_models": ["odd,name"], "enforcement": "strict",
        "rate_limit": { "rpm": 60, "burst": 90 }, "expires_at": "2030-01-02T03:04:05.678Z",
    });
    let (id, _) = house.mint(settings.clone());
    house
        .database
        .execute("UPDATE spend_keys SET expires_at = '2001-02-03 04:05:06.789Z'");
    let (path, edit) = (format!("{HOME}/{id}"), format!("{HOME}/{id}/edit"));
    let fields = [
        ("name", "renamed"),
        ("request_shape", "openai"),
        ("cycle", "daily"),
        ("request_cycle", "daily"),
        ("rpm", "60"),
        ("burst", "90"),
        ("allowed_models", "odd,name"),
        ("expires_at", "2001-02-03T04:05"),
        ("enforcement", "strict"),
        ("timezone", "UTC"),
        ("tags", "a, b\r\nc"),
    ];
    visitor.submit(&edit, &path, &fields).expect_status(303);
    let key = house.key(&id);
    assert_eq!(
        (&key["name"], &key["expires_at"]),
        (&json!("renamed"), &json!("2001-02-03T04:05:06.789Z"))
    );
    for name in ["tags", "allowed_models", "enforcement", "rate_limit"] {
        assert_eq!(key[name], settings[name], "{name}");
    }
    let events = house.server.client().get("/v1/audit_events").json();
    assert_eq!(events["data"][0]["asked"], json!({ "name": "renamed" }));
}

#[test]
fn a_script_in_a_name_or_a_tag_is_text() {
    let (house, visitor) = house_and_visitor();
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let (id, _) = house.mint(json!({ "name": script, "tags": [script] }));
    for path in [HOME.to_owned(), format!("{HOME}/{id}"), format!("{HOME}/{id}/edit")] {
        let page = visitor.page(&path);
        assert!(
            !page.contains("<script>alert") && !page.contains("<img"),
            "{path}: {page}"
        );
        assert!(page.contains("alert(1)"), "{path}");
    }
}

#[test]
fn another_merchants_key_is_not_there() {
    let (house, mut visitor) = house_and_visitor();
    let stranger = house.stranger();
    let made = stranger
        .post("/v1/spend_keys", &json!({ "name": "his" }))
        .expect_status(201)
        .json();
    let path = format!("{HOME}/{}", made["spend_key_id"].as_str().unwrap());
    assert_eq!(visitor.get(&path).status, 404);
    assert_eq!(visitor.submit(HOME, &format!("{path}/revoke"), &[]).status, 404);
    let live = visitor.get(&format!("{HOME}/live?ids={}", made["spend_key_id"].as_str().unwrap()));
    assert_eq!(live.expect_status(200).json(), json!({}));
    assert!(!visitor.page(HOME).contains("his"));
}

#[test]
fn every_change_is_in_the_audit_log_with_who_asked_and_without_secrets() {
    let (house, mut visitor) = house_and_visitor();
    let client = house.server.client();
    let (id, secret) = house.mint(json!({ "name": "agent", "spend_limit": {"amount": "5.00", "cycle": "daily"} }));
    let path = format!("{HOME}/{id}");
    visitor.submit(&path, &format!("{path}/pause"), &[]).expect_status(303);
    client
        .post(&format!("/v1/spend_keys/{id}/rotate"), &json!({}))
        .expect_status(200);
    assert_eq!(
        client
            .put(&format!("/v1/spend_keys/{id}"), &json!({ "name": "" }))
            .status,
        400
    );
    let provider = json!({ "provider": "openai", "key": "sk-very-secret" });
    client.post("/v1/provider_keys", &provider);
    let events = client.get("/v1/audit_events").expect_status(200).json();
    let told: Vec<(String, String, Value)> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or("").to_owned();
            (text("action"), text("actor_kind"), event["status"].clone())
        })
        .collect();
    let expected = [
        ("provider_keys.create", "secret_key", 201),
        ("spend_keys.update", "secret_key", 400),
        ("spend_keys.rotate", "secret_key", 200),
        ("spend_keys.pause", "dashboard", 303),
        ("spend_keys.create", "secret_key", 201),
        ("sessions.create", "dashboard", 200),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (action, kind, status)) in told.iter().zip(expected) {
        assert_eq!((told.0.as_str(), told.1.as_str()), (action, kind));
        assert!(action == "provider_keys.create" || told.2 == status, "{told:?}");
    }
    let text = events.to_string();
    assert!(!text.contains(&secret) && !text.contains("very-secret"), "{text}");
    let created = &events["data"][4];
    assert_eq!(
        (&created["target"], &created["asked"]["spend_limit"]["amount"]),
        (&json!(id), &json!("5.00"))
    );
    let only = client
        .get(&format!("/v1/audit_events?action=spend_keys.p&target={id}"))
        .json();
    assert_eq!(only["data"].as_array().unwrap().len(), 1);
    assert!(visitor.page(&path).contains("<td>rotate</td>"));
    let his = house.stranger().get("/v1/audit_events").json().to_string();
    assert!(!his.contains(&id) && !his.contains("provider_keys"), "{his}");
}

#[test]
fn what_the_cards_show_is_had_as_a_table_and_is_found_by_name_status_and_tag() {
    let (house, mut visitor) = house_and_visitor();
    house.mint(json!({ "name": "alpha", "tags": ["red"] }));
    let (beta, _) = house.mint(json!({ "name": "=beta", "tags": ["blue"] }));
    visitor
        .submit(&format!("{HOME}/{beta}"), &format!("{HOME}/{beta}/pause"), &[])
        .expect_status(303);
    for (query, found, missing) in [
        ("search=ALPH", "alpha", "=beta"),
        ("status=paused", "=beta", "alpha"),
        ("tag=red", "alpha", "=beta"),
    ] {
        let page = visitor.page(&format!("{HOME}?{query}"));
        let named = |name: &str| page.contains(&format!(">{name}</a>"));
        assert!(named(found) && !named(missing), "{query}");
        let table = visitor.get(&format!("{HOME}/table?{query}")).expect_status(200);
        assert!(table.header("content-type").unwrap().starts_with("text/csv"));
        assert_eq!(table.header("cache-control"), Some("no-store"));
        assert_eq!(table.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(table.text().lines().count(), 2, "{query}: {}", table.text());
    }
    let whole = visitor.page(&format!("{HOME}/table"));
    assert!(
        whole.contains("alpha") && !whole.contains(",=beta"),
        "a cell would be run as a formula: {whole}"
    );
    assert!(visitor.page(&format!("{HOME}?search=nothing")).contains("No key fits"));
    assert_eq!(visitor.get(&format!("{HOME}?status=nonsense")).status, 400);
}
