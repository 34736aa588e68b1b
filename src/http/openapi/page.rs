//! The reference for people: one page, rendered here of the same description as the document, with nothing loaded from
//! elsewhere. It reads without its script, which only filters it.

mod curl;
mod fields;

use askama::Template;
use utoipa::openapi::{Deprecated, HttpMethod, RefOr, Schema};

use crate::http::error::ErrorCode;

use super::call::{Access, Answer, Body};
use super::document::{ABOUT, codes, idempotency_key, is_keyed};
use super::part::{Part, Route};
use super::schema::{Field, Shape};
use fields::{Piece, Row, Side, pieces, row_of, rows_of};

/// The whole page.
#[derive(Template)]
#[template(path = "reference.html")]
struct Page {
    version: &'static str,
    about: Vec<Vec<Piece>>,
    parts: Vec<ShownPart>,
    errors: Vec<ShownError>,
}

struct ShownPart {
    name: &'static str,
    anchor: String,
    says: Vec<Piece>,
    calls: Vec<ShownCall>,
    things: Vec<ShownThing>,
}

struct ShownThing {
    name: &'static str,
    anchor: String,
    rows: Vec<Row>,
}

struct ShownCall {
    title: &'static str,
    anchor: &'static str,
    method: &'static str,
    path: String,
    /// The same call by other methods, or at other paths.
    others: Vec<Way>,
    older_paths: Vec<String>,
    is_older: bool,
    says: Vec<Piece>,
    access: &'static str,
    /// Parameters and bodies.
    groups: Vec<Group>,
    answers: Vec<ShownAnswer>,
    refusals: Vec<ShownRefusal>,
    curl: String,
}

/// Another way to make a call.
struct Way {
    anchor: &'static str,
    method: &'static str,
    path: String,
}

/// What a call takes in one place.
struct Group {
    title: String,
    rows: Vec<Row>,
}

struct ShownAnswer {
    status: String,
    says: Vec<Piece>,
    media_types: Vec<&'static str>,
    /// The thing that it holds.
    thing: Option<Thing>,
    rows: Vec<Row>,
}

/// Where a thing is described.
struct Thing {
    name: String,
    anchor: String,
}

struct ShownRefusal {
    status: u16,
    words: Vec<&'static str>,
}

struct ShownError {
    word: &'static str,
    status: u16,
    message: &'static str,
}

/// The page of these parts.
pub fn render(parts: &[Part]) -> Result<String, askama::Error> {
    let error = |code: &ErrorCode| ShownError {
        word: code.word(),
        status: code.status().as_u16(),
        message: code.message(),
    };
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        about: ABOUT.trim().split("\n\n").map(pieces).collect(),
        parts: parts.iter().map(shown_part).collect(),
        errors: ErrorCode::ALL.iter().map(error).collect(),
    };
    page.render()
}

fn shown_part(part: &Part) -> ShownPart {
    let thing = |(name, object): &(&'static str, utoipa::openapi::Object)| ShownThing {
        name,
        anchor: fields::anchor_of(name),
        rows: rows_of(object, Side::Answer),
    };
    let is_same = |one: &Route, other: &Route| one.call.title == other.call.title;
    ShownPart {
        name: part.name,
        anchor: slug(part.name),
        says: pieces(part.says),
        calls: part.routes.chunk_by(is_same).filter_map(shown_call).collect(),
        things: part.things.iter().map(thing).collect(),
    }
}

fn slug(name: &str) -> String {
    let plain = name.to_lowercase().replace('\'', "");
    plain.replace(' ', "-")
}

/// The call of these routes; they all have the same title.
fn shown_call(routes: &[Route]) -> Option<ShownCall> {
    let (route, others) = routes.split_first()?;
    let call = &route.call;
    let is_older = route.path.is_empty();
    let mut older: Vec<String> = Vec::new();
    for path in routes.iter().flat_map(|route| &route.older_paths) {
        if !older.contains(path) {
            older.push(path.clone());
        }
    }
    let path = if is_older { older.remove(0) } else { route.path.clone() };
    let way = |route: &Route| Way {
        anchor: route.call.id,
        method: method_name(&route.method),
        path: route.path.clone(),
    };
    let curl = curl::example(route, &path);
    Some(ShownCall {
        title: call.title,
        anchor: call.id,
        method: method_name(&route.method),
        path,
        others: others.iter().map(way).collect(),
        older_paths: older,
        is_older,
        says: pieces(&call.says),
        access: access_name(call.access),
        groups: groups(route),
        answers: call.answers.iter().map(shown_answer).collect(),
        refusals: shown_refusals(&codes(route)),
        curl,
    })
}

fn groups(route: &Route) -> Vec<Group> {
    let call = &route.call;
    let group = |title: &str, fields: &[&Field]| Group {
        title: title.to_owned(),
        rows: fields.iter().flat_map(|field| row_of(field)).collect(),
    };
    let query: Vec<&Field> = call.query.iter().chain(&call.json_query).collect();
    let key = idempotency_key();
    let mut headers: Vec<&Field> = call.headers.iter().collect();
    if is_keyed(route) {
        headers.push(&key);
    }
    let mut groups = vec![
        group("Path", &call.path.iter().collect::<Vec<_>>()),
        group("Query", &query),
        group("Headers", &headers),
    ];
    groups.extend(call.bodies.iter().map(body_group));
    groups.retain(|group| !group.rows.is_empty());
    groups
}

fn body_group(body: &Body) -> Group {
    let title = match body.media_type {
        "application/json" => "Body".to_owned(),
        other => format!("Body, {other}"),
    };
    let rows = match &body.shape {
        RefOr::T(Schema::Object(object)) => rows_of(object, Side::Body),
        _ => Vec::new(),
    };
    Group { title, rows }
}

fn shown_answer(answer: &Answer) -> ShownAnswer {
    let shape = answer.contents.first().map(|(_, shape)| shape);
    let rows = match shape {
        Some(RefOr::T(Schema::Object(object))) => rows_of(object, Side::Answer),
        _ => Vec::new(),
    };
    ShownAnswer {
        status: match answer.status {
            0 => "Others".to_owned(),
            status => status.to_string(),
        },
        says: pieces(&answer.says),
        media_types: foreign(answer),
        thing: shape.and_then(thing_of),
        rows,
    }
}

/// The media types of an answer that is not JSON alone.
fn foreign(answer: &Answer) -> Vec<&'static str> {
    let all: Vec<&str> = answer.contents.iter().map(|(media_type, _)| *media_type).collect();
    if all == ["application/json"] { Vec::new() } else { all }
}

fn thing_of(shape: &Shape) -> Option<Thing> {
    match shape {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            // A page of things leads to the thing.
            let described = name.strip_suffix("List").unwrap_or(name);
            let is_small = matches!(name, "Success" | "Deleted");
            (!is_small).then(|| Thing {
                name: name.to_owned(),
                anchor: fields::anchor_of(described),
            })
        }
        RefOr::T(_) => None,
    }
}

fn shown_refusals(codes: &[ErrorCode]) -> Vec<ShownRefusal> {
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.status().as_u16()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let refusal = |status: u16| ShownRefusal {
        status,
        words: codes
            .iter()
            .filter(|code| code.status().as_u16() == status)
            .map(|code| code.word())
            .collect(),
    };
    statuses.into_iter().map(refusal).collect()
}

/// The method as it is on the wire.
pub fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Head => "HEAD",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
    }
}

const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Anyone => "Open to all",
        Access::Secret => "Secret key",
        Access::Manager => "Secret key or wallet key",
        Access::Session => "Signed in at the dashboard",
        Access::Gateway => "Spend key, secret key or forward token",
        Access::Anybody => "Open to all, or with any key",
    }
}

/// Whether a field is of an older vocabulary.
fn is_older(deprecated: Option<&Deprecated>) -> bool {
    matches!(deprecated, Some(Deprecated::True))
}
