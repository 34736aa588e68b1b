//! The three ways in which a caller may attach metadata: one JSON header, one header a key, the query.

use actix_web::http::header::HeaderMap;

use crate::domain::metadata::{Metadata, MetadataError};
use crate::http::error::ApiError;

const HEADER: &str = "x-lava-metadata";
const PREFIX: &str = "x-lava-metadata-";

/// All metadata of a call as a JSON object; empty where there is none.
pub fn read(headers: &HeaderMap, query: Option<&str>) -> Result<String, ApiError> {
    if query.is_none() && !headers.keys().any(|name| name.as_str().starts_with(HEADER)) {
        return Ok(String::new());
    }
    collect(headers, query)
        .map(|metadata| metadata.to_json())
        .map_err(|error| ApiError::invalid("metadata", error))
}

fn collect(headers: &HeaderMap, query: Option<&str>) -> Result<Metadata, MetadataError> {
    let text = |value: &actix_web::http::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = headers.get(HEADER).map(text);
    let mut metadata = Metadata::parse(header.as_deref().or(query).unwrap_or("{}"))?;
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(PREFIX) {
            metadata.insert_header(key, &text(value))?;
        }
    }
    Ok(metadata)
}
