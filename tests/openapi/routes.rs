//! The routes that are registered. Their patterns are among the texts of the sources, and the server's own map of
//! resources says which of these texts are patterns, however they came to be registered.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use actix_web::dev::ResourceMap;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpRequest};

/// What is under it is pages for people and what they load, and no part of the API.
const FOR_PEOPLE: &str = "/dashboard";

/// An address of every pattern that is registered on the callers' port, but for what is under [`FOR_PEOPLE`].
pub fn registered() -> BTreeSet<String> {
    let found = candidates();
    actix_rt::System::new().block_on(async {
        let service = init_service(App::new().configure(caldera::http::configure)).await;
        let response = call_service(&service, TestRequest::get().uri("/nothing").to_request()).await;
        let request: &HttpRequest = response.request();
        let is_there = |address: &String| is_registered(request.resource_map(), address) && !is_for_people(address);
        found.into_iter().filter(is_there).collect()
    })
}

fn is_for_people(address: &str) -> bool {
    let rest = address.strip_prefix(FOR_PEOPLE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An address of a path; what stands for a parameter is an id of nothing.
pub fn filled(template: &str) -> String {
    let mut address = String::new();
    for (place, part) in template.split('{').enumerate() {
        let (name, rest) = part.split_once('}').unwrap_or(("", part));
        if place > 0 {
            address.push_str(sample(name));
        }
        address.push_str(rest);
    }
    address
}

fn sample(parameter: &str) -> &str {
    let (name, pattern) = parameter.split_once(':').unwrap_or((parameter, ""));
    match (name, pattern) {
        (_, "[^/]+/.+:[A-Za-z]+") => "publisher/model:generateContent",
        ("format", _) => "openai",
        ("target", _) => "openai/v1/nothing",
        ("event", _) => "cancel",
        (_, _) => "nothing",
    }
}

fn is_registered(resources: &ResourceMap, address: &str) -> bool {
    resources.match_pattern(address).is_some() && resources.has_resource(address)
}

/// Every text of the sources that may be a pattern: as it stands, in the scope, behind another where it is put together.
fn candidates() -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"), &mut texts);
    let (composed, plain): (BTreeSet<&String>, BTreeSet<&String>) =
        texts.iter().partition(|text| text.starts_with('{'));
    let mut all: BTreeSet<String> = plain.iter().map(|text| (*text).clone()).collect();
    for text in composed {
        let rest = text.split_once('}').map_or("", |(_, rest)| rest);
        let rest = rest.replace("{{", "{").replace("}}", "}");
        all.extend(plain.iter().map(|before| format!("{before}{rest}")));
    }
    let with_hyphens: Vec<String> = all.iter().map(|text| text.replace('_', "-")).collect();
    all.extend(with_hyphens);
    let in_scope: Vec<String> = all.iter().map(|text| format!("/v1{text}")).collect();
    all.extend(in_scope);
    all.iter().map(|pattern| filled(pattern)).collect()
}

fn collect(directory: &Path, texts: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("openapi") {
            continue;
        }
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let quoted = source.split('"').skip(1).step_by(2);
            let quoted = quoted.chain(source.split('"').step_by(2));
            let is_path = |text: &&str| {
                let is_short = text.len() < 80 && !text.contains(char::is_whitespace);
                is_short && (text.starts_with('/') || text.starts_with("{path}/") || text.starts_with("{version}/"))
            };
            texts.extend(quoted.filter(is_path).map(str::to_owned));
        }
    }
}
