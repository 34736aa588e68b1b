//! Overview and Requests: what is shown, what is found, and what bad input gets.

use serde_json::json;

use crate::support::house::{House, chat, chat_stream};
use crate::support::server::{eventually, secret_key};
use crate::support::visitor::Visitor;

#[test]
fn the_overview_shows_what_was_spent_on_what_by_whom() {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let empty = visitor.page("/dashboard/overview");
    assert!(empty.contains("No requests in these 7 days"), "{empty}");
    let (id, key) = house.mint(json!({ "name": "<b>agent</b>" }));
    let caller = house.caller(&key);
    for _ in 0..3 {
        caller
            .post("/v1/chat/completions", &chat_stream("output_tokens=40"))
            .expect_status(200);
    }
    caller.post("/v1/chat/completions", &chat("status=429"));
    eventually("every call is in the sums", || {
        house
            .database
            .number("SELECT coalesce(sum(request_count), 0)::bigint AS number FROM traffic_hours")
            == 4
    });
    for days in [1, 7, 30, 90] {
        let page = visitor.page(&format!("/dashboard/overview?days={days}"));
        assert!(page.contains("gpt-4o-mini") && page.contains("openai"), "{page}");
        assert!(page.contains(&format!("/dashboard/spend_keys/{id}")), "{page}");
        assert!(
            page.contains("&#60;b&#62;agent") && !page.contains("<b>agent"),
            "{page}"
        );
        assert!(page.contains("25.0 %") && page.contains("Throttled"), "{page}");
        assert!(page.contains("<svg class=\"chart broad\" role=\"img\""), "{page}");
        assert!(!page.contains("style=\""), "an inline style would not be shown");
        assert!(page.len() < 100_000, "{} bytes", page.len());
    }
    assert_eq!(visitor.get("/dashboard/overview?days=8").status, 400);
    for by in ["model", "provider", "spend_key"] {
        let table = visitor
            .get(&format!("/dashboard/overview/table?group_by={by}"))
            .expect_status(200);
        assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    }
}

#[test]
fn a_request_is_found_and_shown_whole() {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    assert!(visitor.page("/dashboard/requests").contains("No requests yet"));
    let (id, key) = house.mint(json!({ "name": "agent", "spend_limit": { "amount": "1.00", "cycle": "daily" } }));
    let pairs = "{\"team\":\"<i>blue</i>\"}";
    let caller = house.caller(&key).with_header("x-lava-metadata", pairs);
    let good = caller
        .post("/v1/chat/completions", &chat_stream("output_tokens=40"))
        .expect_status(200);
    let bad = caller.post("/v1/chat/completions", &chat("status=500"));
    let (good, bad) = (house.row(&good), house.row(&bad));
    let (good, bad) = (
        good["request_id"].as_str().unwrap(),
        bad["request_id"].as_str().unwrap(),
    );
    let found = |query: &str| {
        let page = visitor.page(&format!("/dashboard/requests?{query}"));
        (
            page.contains(&format!("/dashboard/requests/{good}")),
            page.contains(&format!("/dashboard/requests/{bad}")),
        )
    };
    assert_eq!(found(""), (true, true));
    assert_eq!(found("status=completed"), (true, false));
    assert_eq!(found("status=5xx"), (false, true));
    assert_eq!(found(&format!("search={good}")), (true, false));
    assert_eq!(found(&format!("spend_key_id={id}&model=gpt-4o-mini")), (true, true));
    assert_eq!(found("model=none"), (false, false));
    assert_eq!(found("from=2020-01-01&to=2020-01-02"), (false, false));
    assert_eq!(found("metadata=team%3D%3Ci%3Eblue%3C%2Fi%3E"), (true, true));
    for (query, typed) in [
        ("spend_key_id=%22%3E%3Cscript%3E", "&#34;&#62;&#60;script"),
        ("from=soon", "soon"),
        ("metadata=blue", "blue"),
        ("status=nonsense", "must be completed"),
        ("cursor=junk", "cursor"),
    ] {
        let answer = visitor.get(&format!("/dashboard/requests?{query}"));
        let page = answer.text();
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            page.contains(typed) && page.contains("role=\"alert\""),
            "{query}: {page}"
        );
        assert!(!page.contains("<script>"), "{page}");
    }
    let page = visitor.page(&format!("/dashboard/requests/{good}"));
    for part in [
        "Completed",
        "Held at admission",
        "First token",
        "agent",
        "&#60;i&#62;blue",
        "Output tokens",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = visitor.page(&format!("/dashboard/requests/{bad}"));
    assert!(
        page.contains("500 error") && page.contains("The provider failed"),
        "{page}"
    );
    assert_eq!(visitor.get("/dashboard/requests/req_nothing").status, 404);
    let table = visitor
        .get("/dashboard/requests/table?status=completed")
        .expect_status(200);
    assert!(table.text().contains(good) && !table.text().contains(bad));
}

#[test]
fn a_meters_requests_are_those_that_it_charged() {
    let house = House::new();
    let visitor = Visitor::signed_in(&house.server, secret_key());
    let (_, key) = house.mint(json!({ "name": "agent" }));
    let call = house
        .caller(&key)
        .post("/v1/chat/completions", &chat("output_tokens=1"))
        .expect_status(200);
    let row = house.row(&call);
    let id = row["request_id"].as_str().unwrap();
    assert!(visitor.page("/dashboard/requests").contains(id));
    let meter = "meter_id=prd_00000000000000000000000002";
    let page = visitor.page(&format!("/dashboard/requests?{meter}"));
    assert!(
        page.contains("No request fits") && page.contains("value=\"prd_"),
        "{page}"
    );
    let table = visitor.page(&format!("/dashboard/requests/table?{meter}"));
    assert!(!table.contains(id), "{table}");
}
