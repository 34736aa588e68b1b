//! The description as tests ask it: which paths there are, which of them an address is of, and which codes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::support::house::House;

/// See the module.
pub struct Description {
    pub whole: Value,
}

impl Description {
    /// As a server says it.
    pub fn of(house: &House) -> Self {
        Self::new(house.server.client().get("/openapi.json").expect_status(200).json())
    }

    /// As it is made, without a server.
    pub fn made() -> Self {
        Self::new(serde_json::to_value(caldera::http::openapi::document()).unwrap())
    }

    fn new(whole: Value) -> Self {
        Self { whole }
    }

    pub fn paths(&self) -> &Map<String, Value> {
        self.whole["paths"].as_object().unwrap()
    }

    /// The path that an address is of, the most exact one.
    pub fn template_of(&self, address: &str) -> Option<&str> {
        let path = address.split('?').next().unwrap_or_default();
        let fitting = self.paths().keys().filter(|template| fits(template, path));
        let exactness = |template: &&String| (template.matches('{').count(), std::cmp::Reverse(template.len()));
        fitting.min_by_key(exactness).map(String::as_str)
    }

    /// Every code that stands in a refusal of a call.
    pub fn codes(&self) -> BTreeSet<String> {
        let refusals = self.whole["components"]["responses"].as_object().unwrap();
        let words = refusals.keys().flat_map(|name| name.split('.').skip(2));
        words.map(str::to_owned).collect()
    }
}

/// Whether an address is of a path, whose parameters each stand for a part of it.
fn fits(template: &str, path: &str) -> bool {
    let (left, right): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    // What is forwarded has slashes of its own, and so have names of models.
    let is_open = template.ends_with("/{target}") || template == "/v1/models/{model}";
    let is_as_long = left.len() == right.len() || (is_open && right.len() > left.len());
    is_as_long && left.iter().zip(right).all(|(left, right)| part_fits(left, right))
}

fn part_fits(template: &str, part: &str) -> bool {
    match template.split_once('}') {
        Some((before, after)) if before.starts_with('{') => {
            part.strip_suffix(after).is_some_and(|rest| !rest.is_empty())
        }
        _ => template == part,
    }
}
