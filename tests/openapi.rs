//! The description of the API against the API: every route is in it and nothing else, every code of the table of errors,
//! and what the real server answers is what it says.

mod description;
mod made_up;
mod page;
mod routes;
mod walk;

use caldera::http::error::ErrorCode;
use serde_json::Value;

use crate::support::house::House;
use description::Description;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Takes any method.
const FORWARDED: &str = "/v1/forward";
/// Pages that ask who it is before they look at the method.
const GUARDED: &str = "/auth/";
/// Goes on for a minute, unless it is asked for what is not there.
const FEED: &str = "/v1/live";

#[test]
fn every_route_is_described() {
    let described = Description::made();
    let registered = routes::registered();
    assert!(registered.len() > 60, "the routes are not found: {registered:?}");
    let is_missing = |address: &&String| described.template_of(address).is_none();
    let missing: Vec<&String> = registered.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "registered and not described: {missing:#?}");
}

#[test]
fn every_described_call_is_there_and_every_other_method_is_refused() {
    let house = House::new();
    let description = Description::of(&house);
    let client = house.server.client();
    let mut wrong = Vec::new();
    for (template, item) in description.paths() {
        let address = match template.as_str() {
            FEED => format!("{FEED}?spend_key_ids=nothing"),
            _ => routes::filled(template),
        };
        for method in METHODS {
            let is_described = item.get(method.to_lowercase()).is_some();
            // What is forwarded is so with any method, what has a colon is taken for the name of a model, and a page
            // with a guard says to strangers only that they are strangers.
            let is_open = template.starts_with(FORWARDED) || template.starts_with(GUARDED) || template.contains("}:");
            if is_open && !is_described {
                continue;
            }
            let answer = client.send(method, &address, None);
            let is_nowhere = ["There is nothing at", "no such method of a model"];
            let is_there = answer.status != 405 && !is_nowhere.iter().any(|words| answer.text().contains(words));
            let allowed = answer.header("allow").unwrap_or_default();
            if answer.status == 405
                && !allowed
                    .split(", ")
                    .any(|allowed| item.get(allowed.to_lowercase()).is_some())
            {
                wrong.push(format!("{method} {address} does not say what is allowed: {allowed:?}"));
            }
            if is_there != is_described {
                wrong.push(format!("{method} {address}: {} {}", answer.status, answer.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_of_the_table_is_in_an_answer() {
    let description = Description::made();
    let words = description.codes();
    let missing: Vec<&str> = ErrorCode::ALL
        .iter()
        // No call that is described has it: it is what the others get.
        .filter(|code| **code != ErrorCode::MethodNotAllowed)
        .map(|code| code.word())
        .filter(|word| !words.contains(*word))
        .collect();
    assert!(missing.is_empty(), "no call is refused with {missing:?}");
    let listed = &description.whole["components"]["schemas"]["ErrorCode"]["enum"];
    assert_eq!(listed.as_array().map(Vec::len), Some(ErrorCode::ALL.len()));
}

#[test]
fn the_description_is_public_and_is_sent_once_to_who_has_it() {
    let house = House::new();
    let stranger = crate::support::http::Client::new(&house.server.url());
    let answer = stranger.get("/openapi.json").expect_status(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["openapi"], "3.1.0");
    assert!(!answer.text().contains('\n'), "it is compact");
    let tag = answer.header("etag").unwrap().to_owned();
    let again = stranger.clone().with_header("if-none-match", &tag).get("/openapi.json");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = stranger.with_header("if-none-match", "\"other\"").get("/openapi.json");
    assert_eq!(other.status, 200);
}

#[test]
fn ids_of_operations_are_unique_and_older_paths_are_deprecated() {
    let description = Description::made();
    let mut ids = std::collections::BTreeSet::new();
    for (template, item) in description.paths() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let is_older = [
                "/manage/",
                "products",
                "subscription_configs",
                "connections",
                "healthz",
                "-keys",
            ]
            .iter()
            .any(|word| template.contains(word));
            if is_older {
                assert_eq!(operation["deprecated"], Value::Bool(true), "{method} {template}");
            }
        }
    }
}
