//! Letting a program in by the browser: a page that says who asks, a code for the user's own computer, and a secret key
//! for the code. The official SDKs do it with a real browser; the refusals are shown without one.

use serde_json::{Value, json};

use crate::clients::{Script, browser};
use crate::support::house::House;
use crate::support::http::{Answer, Client};
use crate::support::server::secret_key;
use crate::support::visitor::{Visitor, form_token};

const STATE: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_lava_sdks_sign_in_by_the_browser() {
    let Some(browser) = browser() else {
        // What CI shows, a developer without a browser may do without.
        assert!(std::env::var_os("CI").is_none(), "Chromium is not installed");
        return;
    };
    let house = House::new();
    let script = Script::new("lava-login.mjs", &house);
    script.variable("CHROMIUM", &browser).run();
}

#[test]
fn a_code_is_exchanged_once_for_a_secret_key_of_its_own() {
    let house = House::new();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    for (path, client) in [("/auth/connect", "an application"), ("/auth/cli", "a command line")] {
        let code = authorize(&mut visitor, path);
        let made = exchange(&house, &code).expect_status(200).json();
        let names = [
            "wallet_key_id",
            "wallet_key",
            "wallet_id",
            "secret_key_id",
            "secret_key",
            "merchant_id",
            "account_id",
        ];
        for name in names {
            assert!(made.get(name).is_some(), "{name} is not in {made}");
        }
        let again = exchange(&house, &code).expect_status(400);
        assert_eq!(again.error_code(), "invalid_request");
        let key = made["secret_key"].as_str().unwrap();
        let listed = house.caller(key).get("/v1/secret_keys").expect_status(200).json();
        let newest = &listed["data"][0];
        assert_eq!(newest["secret_key_id"], made["secret_key_id"]);
        assert!(
            newest["name"]
                .as_str()
                .unwrap()
                .starts_with(&format!("Login from {client}, 2")),
            "{newest}"
        );
        let made_id = made["secret_key_id"].as_str().unwrap();
        let told = house.server.client();
        let told = told.get(&format!("/v1/audit_events?action=secret_keys.create&target={made_id}"));
        let told = told.expect_status(200).json();
        assert_eq!(told["data"].as_array().unwrap().len(), 1, "{told}");
        let signed_in = &house.server.client().get("/v1/audit_events?action=sessions").json()["data"][0];
        assert_eq!(
            (&told["data"][0]["actor_kind"], &told["data"][0]["actor"]),
            (&json!("dashboard"), &signed_in["actor"]),
            "the one who authorised it is told"
        );
        let path = format!("/v1/secret_keys/{made_id}");
        house.server.client().delete(&path).expect_status(200);
        house.caller(key).get("/v1/wallet").expect_status(401);
    }
    let events = house
        .server
        .client()
        .get("/v1/audit_events?action=auth.connect")
        .expect_status(200)
        .json();
    assert_eq!(events["data"][0]["actor_kind"], "dashboard", "{events}");
    assert_eq!(events["data"][0]["asked"]["decision"], "authorize", "{events}");
}

#[test]
fn a_code_is_void_once_the_key_is_revoked_that_gave_it() {
    let house = House::new();
    let made = house
        .server
        .client()
        .post("/v1/secret_keys", &json!({ "name": "his" }))
        .expect_status(201)
        .json();
    let mut visitor = Visitor::signed_in(&house.server, made["secret_key"].as_str().unwrap());
    let code = authorize(&mut visitor, "/auth/connect");
    let path = format!("/v1/secret_keys/{}", made["secret_key_id"].as_str().unwrap());
    house.server.client().delete(&path).expect_status(200);
    let refused = exchange(&house, &code).expect_status(400);
    assert_eq!(refused.json()["error"]["param"], "code");
}

#[test]
fn who_is_not_signed_in_signs_in_first_and_comes_back() {
    let house = House::new();
    let mut visitor = Visitor::new(&house.server);
    let path = format!("/auth/connect?state={STATE}&port=40000");
    let sign_in = visitor
        .get(&path)
        .expect_status(303)
        .header("location")
        .unwrap()
        .to_owned();
    assert!(
        sign_in.starts_with("/dashboard/sign_in?next=%2Fauth%2Fconnect%3Fstate%3D"),
        "{sign_in}"
    );
    let answer = visitor.send("/dashboard/sign_in", &[("secret_key", secret_key()), ("next", &path)]);
    assert_eq!(answer.expect_status(303).header("location"), Some(path.as_str()));
    assert!(visitor.page(&path).contains("port 40000"));
}

#[test]
fn what_does_not_fit_is_refused_in_words_and_never_shown() {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let long = "a".repeat(300);
    let table = [
        ("port=40000", "`state` is missing"),
        ("state=&port=40000", "`state` is missing"),
        (
            "state=%3Cscript%3Ealert(1)%3C%2Fscript%3E&port=40000",
            "`state` is not one",
        ),
        ("state=a%22%20onload%3D%22x&port=40000", "`state` is not one"),
        (&format!("state={long}&port=40000"), "`state` is not one"),
        (&format!("state={STATE}"), "`port` must be"),
        (&format!("state={STATE}&port="), "`port` must be"),
        (&format!("state={STATE}&port=http"), "`port` must be"),
        (&format!("state={STATE}&port=80"), "`port` must be"),
        (&format!("state={STATE}&port=70000"), "`port` must be"),
        (&format!("state={STATE}&port=-1"), "`port` must be"),
        (&format!("state={STATE}&port=40000%40evil.example"), "`port` must be"),
        ("request=BCDF-GHJK", "Nobody waits with this code"),
        ("request=%3Cscript%3E", "Nobody waits with this code"),
    ];
    for (query, why) in table {
        for path in ["/auth/connect", "/auth/cli"] {
            let answer = visitor.get(&format!("{path}?{query}"));
            assert!((400..500).contains(&answer.status), "{query}: {}", answer.status);
            let page = answer.text().replace("&#96;", "`");
            assert!(page.contains(why), "{query}: {page}");
            assert!(
                !page.contains("<script>alert") && !page.contains("onload"),
                "{query}: {page}"
            );
        }
    }
    for body in [
        json!({}),
        json!({ "code": "" }),
        json!({ "code": 7 }),
        json!({ "code": "x" }),
        json!({ "code": long }),
    ] {
        let client = Client::new(&house.server.url());
        let answer = client.post("/v1/auth/callback", &body).expect_status(400);
        assert_eq!(answer.json()["error"]["param"], "code", "{body}");
    }
}

#[test]
fn a_form_that_was_forged_gives_nothing() {
    let house = House::new();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let path = format!("/auth/connect?state={STATE}&port=40000");
    let fields = [("state", STATE), ("port", "40000"), ("decision", "authorize")];
    let forged = visitor.send("/auth/connect", &fields);
    assert_eq!(forged.status, 400);
    assert!(
        forged.text().contains("did not come from a page of yours"),
        "{}",
        forged.text()
    );
    let token = form_token(&visitor.page(&path));
    let mut other = Visitor::new(&house.server);
    let mut with_token = fields.to_vec();
    with_token.push(("form_token", &token));
    assert_eq!(other.send("/auth/connect", &with_token).status, 401);
    let undecided = visitor.submit(&path, "/auth/connect", &[("state", STATE), ("port", "40000")]);
    assert_eq!(undecided.status, 400);
    let cancelled = [("state", STATE), ("port", "40000"), ("decision", "cancel")];
    let cancelled = visitor.submit(&path, "/auth/connect", &cancelled).expect_status(303);
    let place = cancelled.header("location").unwrap();
    assert_eq!(
        place,
        format!("http://127.0.0.1:40000/callback?error=access_denied&state={STATE}")
    );
    let listed = house.server.client().get("/v1/secret_keys").expect_status(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
}

/// Presses the button; the code that the browser is led away with.
fn authorize(visitor: &mut Visitor, path: &str) -> String {
    let from = format!("{path}?state={STATE}&port=40000");
    let page = visitor.get(&from).expect_status(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:40000;"),
        "{policy}"
    );
    let fields = [("state", STATE), ("port", "40000"), ("decision", "authorize")];
    let answer = visitor.submit(&from, path, &fields).expect_status(303);
    let place = answer.header("location").unwrap().to_owned();
    let query = place
        .strip_prefix("http://127.0.0.1:40000/callback?")
        .expect("it leads to the program");
    let code = query
        .strip_suffix(&format!("&state={STATE}"))
        .expect("the state comes back");
    code.strip_prefix("code=").expect("a code").to_owned()
}

fn exchange(house: &House, code: &str) -> Answer {
    let body: Value = json!({ "code": code });
    Client::new(&house.server.url()).post("/v1/auth/callback", &body)
}
