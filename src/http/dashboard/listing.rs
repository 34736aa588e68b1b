//! A list of the dashboard as its address asks for it: what narrows it, and where its pages begin. The pages of a list
//! go one way only, as those of the API do.

use actix_web::HttpRequest;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::http::error::ApiError;
use crate::http::query::Query;

use super::ask;

/// Rows on one page, where nothing else is said.
const ROWS: u32 = 25;

/// See the module.
pub struct Listing {
    path: String,
    choices: Vec<(&'static str, String)>,
    cursor: String,
    rows: u32,
}

impl Listing {
    /// The list at this address, which may be narrowed by these parameters.
    pub fn read(request: &HttpRequest, names: &[&'static str]) -> Result<Self, ApiError> {
        let query = Query::parse(request.query_string());
        let text = |name: &str| query.text(name).map(|text| text.unwrap_or("").trim().to_owned());
        let choices: Result<Vec<_>, ApiError> = names.iter().map(|name| Ok((*name, text(name)?))).collect();
        Ok(Self {
            path: request.path().to_owned(),
            choices: choices?,
            cursor: text("cursor")?,
            rows: ROWS,
        })
    }

    /// With so many rows on a page.
    pub fn of_rows(self, rows: u32) -> Self {
        Self { rows, ..self }
    }

    /// Of a page that is not where its form was posted to.
    pub fn at(self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self
        }
    }

    /// Where the whole list is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is looked for under this name; empty where it is nothing.
    pub fn chosen(&self, name: &str) -> &str {
        let choice = self.choices.iter().find(|(known, _)| *known == name);
        choice.map_or("", |(_, text)| text)
    }

    /// Whether something is looked for, so that an empty list does not mean that there is nothing at all.
    pub fn is_narrowed(&self) -> bool {
        self.choices.iter().any(|(_, text)| !text.is_empty())
    }

    pub fn is_first_page(&self) -> bool {
        self.cursor.is_empty()
    }

    /// The same for the API.
    pub fn asked(&self) -> Query {
        let mut pairs = self.pairs();
        pairs
            .append_pair("limit", &self.rows.to_string())
            .append_pair("cursor", &self.cursor);
        Query::parse(&pairs.finish())
    }

    /// The same for the API, whole and as CSV.
    pub fn asked_as_table(&self) -> Query {
        Query::parse(&self.pairs().append_pair("format", "csv").finish())
    }

    /// Where the same is as CSV.
    pub fn table(&self) -> String {
        format!("{}/table?{}", self.path, self.pairs().finish())
    }

    /// The address of the page behind what was found.
    pub fn next(&self, found: &Value) -> Option<String> {
        let cursor = ask::next_cursor(found)?;
        let pairs = self.pairs().append_pair("cursor", &cursor).finish();
        Some(format!("{}?{pairs}", self.path))
    }

    fn pairs(&self) -> Serializer<'static, String> {
        let mut pairs = Serializer::new(String::new());
        for (name, text) in &self.choices {
            pairs.append_pair(name, text);
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use serde_json::json;

    #[test]
    fn the_next_page_looks_for_the_same() {
        let request = TestRequest::with_uri("/dashboard/customers?search=+J%26+&cursor=x&other=1").to_http_request();
        let listing = Listing::read(&request, &["search"]).unwrap();
        assert_eq!((listing.chosen("search"), listing.chosen("other")), ("J&", ""));
        assert!(listing.is_narrowed() && !listing.is_first_page());
        let next = listing.next(&json!({ "next_cursor": "y" }));
        assert_eq!(next.as_deref(), Some("/dashboard/customers?search=J%26&cursor=y"));
        assert_eq!(listing.next(&json!({ "next_cursor": null })), None);
        assert_eq!(listing.asked().text("cursor").unwrap(), Some("x"));
    }
}
