//! The reference for people, over the real server: it holds every call and every code, and loads nothing from elsewhere.

use std::collections::BTreeSet;

use super::description::Description;
use crate::support::house::House;
use crate::support::http::Client;

#[test]
fn the_page_has_every_call_and_every_code() {
    let house = House::new();
    let page = Client::new(&house.server.url()).get("/docs").expect_status(200).text();
    let description = Description::of(&house);
    for (template, item) in description.paths() {
        let shown = template.replace('\'', "&#39;");
        assert!(
            page.contains(&format!("<code>{shown}</code>")),
            "{template} is not there"
        );
        for operation in item.as_object().unwrap().values() {
            if operation["deprecated"] != true {
                let id = operation["operationId"].as_str().unwrap();
                assert!(page.contains(&format!("id=\"{id}\"")), "{id} is not there");
            }
        }
    }
    for word in description.codes() {
        assert!(page.contains(&format!("id=\"error-{word}\"")), "{word} is not there");
    }
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let house = House::new();
    let client = Client::new(&house.server.url());
    let page = client.get("/docs").expect_status(200).text();
    let attributes = |name: &str| -> Vec<String> {
        let mark = format!(" {name}=\"");
        let pieces = page.split(mark.as_str()).skip(1);
        pieces
            .map(|piece| piece.split('"').next().unwrap().to_owned())
            .collect()
    };
    let ids: Vec<String> = attributes("id");
    let known: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(known.len(), ids.len(), "an id is there twice");
    let links: BTreeSet<String> = attributes("href").into_iter().chain(attributes("src")).collect();
    for link in &links {
        match link.strip_prefix('#') {
            Some(id) => assert!(known.contains(&id.to_owned()), "{link} leads nowhere"),
            None if link == "data:," => {}
            None => {
                assert!(link.starts_with('/') && !link.starts_with("//"), "{link} is elsewhere");
                client.get(link).expect_status(200);
            }
        }
    }
}

#[test]
fn the_policy_of_the_page_lets_nothing_in_and_the_page_needs_nothing_else() {
    let house = House::new();
    let answer = Client::new(&house.server.url()).get("/docs").expect_status(200);
    let policy = answer.header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = answer.text();
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(page.split("<script").skip(1).all(|script| script.starts_with(" src=")));
}
