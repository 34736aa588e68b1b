//! Who gets in, for how long, and what without.

use serde_json::{Value, json};

use crate::support::house::House;
use crate::support::http::Client;
use crate::support::server::secret_key;
use crate::support::visitor::{Visitor, form_token};

const HOME: &str = "/dashboard/spend_keys";

#[test]
fn without_a_session_every_page_leads_to_the_sign_in_and_back() {
    let house = House::new();
    let visitor = Visitor::new(&house.server);
    let answer = visitor.get("/dashboard/spend_keys?search=a%20b").expect_status(303);
    let sign_in = answer.header("location").unwrap().to_owned();
    assert_eq!(
        sign_in,
        "/dashboard/sign_in?next=%2Fdashboard%2Fspend_keys%3Fsearch%3Da%2520b"
    );
    let page = visitor.page(&sign_in);
    assert!(page.contains("value=\"/dashboard/spend_keys?search=a%20b\""), "{page}");
    let mut visitor = Visitor::new(&house.server);
    let answer = visitor.send(HOME, &[("name", "forged")]);
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("not signed in any more"));
}

#[test]
fn a_secret_key_signs_in_and_other_keys_are_told_why_not() {
    let house = House::new();
    let (_, spend_key) = house.mint(json!({ "name": "calls" }));
    let mut visitor = Visitor::new(&house.server);
    let table = [
        (spend_key.as_str(), "another kind"),
        ("aks_live_nonsense", "is not a secret key"),
        ("", "is not a secret key"),
        ("<script>alert(1)</script>", "is not a secret key"),
    ];
    for (key, why) in table {
        let answer = visitor.send("/dashboard/sign_in", &[("secret_key", key)]);
        assert_eq!(answer.status, 401, "{key}");
        let page = answer.text();
        assert!(page.contains(why), "{page}");
        assert!(key.is_empty() || !page.contains(key), "a page says a key: {page}");
        assert!(visitor.cookie.is_none());
    }
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let answer = visitor.get(HOME).expect_status(200);
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(
        !answer.text().contains("style=\""),
        "an inline style would not be shown"
    );
}

#[test]
fn after_signing_in_nobody_is_led_away() {
    let house = House::new();
    let key = secret_key();
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/v1/spend_keys",
    ] {
        let mut visitor = Visitor::new(&house.server);
        let answer = visitor.send("/dashboard/sign_in", &[("secret_key", key), ("next", next)]);
        assert_eq!(
            answer.expect_status(303).header("location"),
            Some("/dashboard"),
            "{next}"
        );
    }
}

#[test]
fn guessing_keys_is_slowed_down_by_address() {
    let house = House::with(|settings| settings.variable("CALDERA__MANAGEMENT__FAILED_CREDENTIALS_PER_MINUTE", 3));
    let mut visitor = Visitor::new(&house.server);
    let statuses: Vec<u16> = (0..5)
        .map(|_| {
            visitor
                .send("/dashboard/sign_in", &[("secret_key", "aks_live_x")])
                .status
        })
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}

#[test]
fn a_form_without_its_token_or_from_another_site_changes_nothing() {
    let house = House::new();
    let key = secret_key();
    let mut visitor = Visitor::signed_in(&house.server, key);
    let other = Visitor::signed_in(&house.server, key);
    let others_token = form_token(&other.page(HOME));
    for fields in [
        vec![("name", "n")],
        vec![("name", "n"), ("form_token", "")],
        vec![("name", "n"), ("form_token", "nonsense")],
        vec![("name", "n"), ("form_token", &others_token)],
    ] {
        let answer = visitor.send(HOME, &fields);
        assert_eq!(answer.status, 400, "{fields:?}");
        assert!(answer.text().contains("Nothing was changed"));
    }
    let own_token = form_token(&visitor.page(HOME));
    let cookie = visitor.cookie.clone().unwrap();
    let foreign = Client::new(&house.server.url()).with_header("cookie", &cookie);
    let foreign = foreign
        .with_header("origin", "https://evil.example")
        .with_header("content-type", "application/x-www-form-urlencoded");
    let answer = foreign.send(
        "POST",
        HOME,
        Some(format!("name=n&form_token={own_token}").into_bytes()),
    );
    assert_eq!(answer.status, 400);
    assert_eq!(house.server.client().get("/v1/spend_keys").json()["data"], json!([]));
}

#[test]
fn a_session_ends_with_its_key_its_time_its_use_and_by_signing_out() {
    let house = House::new();
    let client = house.server.client();
    let made = client
        .post("/v1/secret_keys", &json!({ "name": "hers" }))
        .expect_status(201)
        .json();
    let hers = Visitor::signed_in(&house.server, made["secret_key"].as_str().unwrap());
    hers.page(HOME);
    let id = made["secret_key_id"].as_str().unwrap();
    client.delete(&format!("/v1/secret_keys/{id}")).expect_status(200);
    assert_eq!(hers.get(HOME).status, 303, "its key is revoked");

    for change in [
        "expires_at = created_at + interval '1 ms'",
        "last_seen_at = now() - interval '13 hours'",
    ] {
        let visitor = Visitor::signed_in(&house.server, secret_key());
        visitor.page(HOME);
        house
            .database
            .execute(&format!("UPDATE dashboard_sessions SET {change}"));
        assert_eq!(visitor.get(HOME).status, 303, "{change}");
    }

    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let cookie = visitor.cookie.clone();
    let answer = visitor.submit(HOME, "/dashboard/sign_out", &[]);
    assert_eq!(answer.expect_status(303).header("location"), Some("/dashboard/sign_in"));
    visitor.cookie = cookie;
    assert_eq!(visitor.get(HOME).status, 303, "the cookie alone opens nothing any more");
}

#[test]
fn a_forged_cookie_opens_nothing() {
    let house = House::new();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let cookie = visitor.cookie.clone().unwrap();
    let mut changed = cookie.clone().into_bytes();
    let last = changed.len() - 5;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let forged = [
        String::from_utf8(changed).unwrap(),
        "caldera_session=".to_owned(),
        format!("{cookie}x"),
        format!("caldera_session={}", "A".repeat(43)),
        format!("caldera_session={}", "A".repeat(5000)),
    ];
    for cookie in forged {
        visitor.cookie = Some(cookie.clone());
        assert_eq!(visitor.get(HOME).status, 303, "{cookie}");
    }
}

#[test]
fn a_link_from_the_command_line_signs_in_once() {
    let house = House::new();
    let operator = operator(&house);
    let made: Value = operator
        .post("/operator/dashboard_links", &json!({}))
        .expect_status(201)
        .json();
    let path = made["path"].as_str().unwrap();
    let mut visitor = Visitor::new(&house.server);
    assert!(
        visitor.page(path).contains("Open the dashboard"),
        "looking at it uses nothing up"
    );
    assert_eq!(
        visitor.send(path, &[]).expect_status(303).header("location"),
        Some("/dashboard")
    );
    visitor.page(HOME);
    let mut second = Visitor::new(&house.server);
    let answer = second.send(path, &[]);
    assert_eq!(answer.status, 410);
    assert!(answer.text().contains("This link is over") && second.cookie.is_none());
    let plain = house.server.client().post("/operator/dashboard_links", &json!({}));
    assert_eq!(plain.status, 404, "callers make no links");
}

#[test]
fn everybody_is_signed_out_at_once() {
    let house = House::new();
    let made = operator(&house).post("/operator/dashboard_links", &json!({})).json();
    let mut by_link = Visitor::new(&house.server);
    by_link.send(made["path"].as_str().unwrap(), &[]).expect_status(303);
    let mut by_key = Visitor::signed_in(&house.server, secret_key());
    let other = Visitor::signed_in(&house.server, &house.test_merchant());
    let answer = by_key.submit("/dashboard/secret_keys", "/dashboard/sessions/end", &[]);
    assert_eq!(answer.expect_status(303).header("location"), Some("/dashboard/sign_in"));
    for visitor in [&by_key, &by_link] {
        assert_eq!(visitor.get(HOME).status, 303);
    }
    other.page(HOME);
    let events = house.server.client().get("/v1/audit_events?action=sessions.end").json();
    assert_eq!(events["data"][0]["actor_kind"], "dashboard", "{events}");
}

#[test]
fn what_an_open_page_asks_by_itself_keeps_no_session_open() {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let before = "UPDATE dashboard_sessions SET last_seen_at = now() - interval '11 hours'";
    house.database.execute(before);
    let used = "SELECT count(*) FROM dashboard_sessions WHERE last_seen_at > now() - interval '1 hour'";
    let page = Client::new(&house.server.url()).with_header("cookie", visitor.cookie.as_ref().unwrap());
    let page = page.with_header("x-refresh", "1");
    page.get("/dashboard/spend_keys/live?ids=").expect_status(200);
    page.get("/dashboard/calls").expect_status(200);
    assert_eq!(house.database.number(used), 0);
    visitor.page(HOME);
    assert_eq!(house.database.number(used), 1);
}

#[test]
fn signing_in_again_ends_the_session_before() {
    let house = House::new();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let before = visitor.cookie.clone();
    visitor
        .send("/dashboard/sign_in", &[("secret_key", secret_key())])
        .expect_status(303);
    visitor.page(HOME);
    assert_ne!(visitor.cookie, before);
    visitor.cookie = before;
    assert_eq!(visitor.get(HOME).status, 303);
}

#[test]
fn a_session_has_the_limit_of_a_key_and_its_open_pages_take_nothing_of_it() {
    let house = House::with(|settings| settings.variable("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", 4));
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let page = Client::new(&house.server.url()).with_header("cookie", visitor.cookie.as_ref().unwrap());
    let page = page.with_header("x-refresh", "1");
    let live = "/dashboard/spend_keys/live?ids=";
    let asked: Vec<u16> = (0..5).map(|_| page.get(live).status).collect();
    assert_eq!(asked, [200, 200, 200, 200, 429]);
    let seen: Vec<u16> = (0..5).map(|_| visitor.get(HOME).status).collect();
    assert_eq!(seen, [200, 200, 200, 200, 429]);
    let refused = visitor.get(HOME);
    assert!(refused.header("retry-after").is_some());
    assert!(
        refused.text().contains("<title>Too many requests"),
        "{}",
        refused.text()
    );
}

#[test]
fn over_tls_a_cookie_is_the_hosts_own_and_forms_come_from_where_the_operator_says() {
    let house = House::with(|settings| settings.variable("CALDERA__CHECKOUT__PUBLIC_URL", "https://ai.example.com"));
    let client = Client::new(&house.server.url()).with_header("content-type", "application/x-www-form-urlencoded");
    let sign_in = |client: Client| {
        let body = format!("secret_key={}", secret_key());
        client.send("POST", "/dashboard/sign_in", Some(body.into_bytes()))
    };
    // The proxy has put its own name into Host.
    let of_public = client.clone().with_header("origin", "https://ai.example.com");
    let answer = sign_in(of_public).expect_status(303);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-caldera_session=") && cookie.contains("Secure") && cookie.contains("Path=/"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap();
    let page = |pair: &str| client.clone().with_header("cookie", pair);
    page(pair).get(HOME).expect_status(200);
    let plain = pair.replace("__Host-", "");
    let over_tls = page(&plain).with_header("x-forwarded-proto", "https");
    assert_eq!(over_tls.get(HOME).status, 303, "a neighbour may have set it");

    let own = sign_in(client.clone().with_header("origin", &house.server.url())).expect_status(303);
    let cookie = own.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("caldera_session=") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let evil = client.clone().with_header("origin", "https://evil.example");
    assert_eq!(sign_in(evil).status, 400);

    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let made = visitor.submit(HOME, HOME, &[("name", "k")]).expect_status(303);
    let shown = visitor.page(made.header("location").unwrap());
    assert!(shown.contains("https://ai.example.com"), "{shown}");
}

#[test]
fn pages_answer_a_head_and_say_what_they_take() {
    let house = House::new();
    let mut visitor = Visitor::signed_in(&house.server, secret_key());
    let client = Client::new(&house.server.url());
    let client = client.with_header("cookie", visitor.cookie.as_ref().unwrap());
    let style = visitor.page(HOME);
    let style = style.split("href=\"").find(|part| part.contains(".css\"")).unwrap();
    let style = style.split('"').next().unwrap();
    for path in [HOME, "/dashboard/sign_in", "/dashboard/wallet", style] {
        let answer = client.send("HEAD", path, None);
        let same = client.get(path);
        assert_eq!((answer.status, answer.body.len()), (same.status, 0), "{path}");
        assert_eq!(answer.header("content-type"), same.header("content-type"), "{path}");
    }
    assert_eq!(
        visitor.get("/dashboard/").expect_status(303).header("location"),
        Some(HOME)
    );
    let table = [
        ("PUT", "/dashboard/sign_in", "GET, HEAD, POST"),
        ("POST", style, "GET, HEAD"),
    ];
    for (method, path, allowed) in table {
        let answer = client.send(method, path, None).expect_status(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    let answer = visitor.submit(HOME, "/dashboard/refusals", &[]).expect_status(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
}

fn operator(house: &House) -> Client {
    let token = std::fs::read_to_string(house.server.data_dir().join("operator-token")).unwrap();
    Client::new(&house.server.operator_url()).with_key(token.trim())
}
