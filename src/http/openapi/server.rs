//! What the server says of itself in the reference: its books, its health, and this description of it.

use utoipa::openapi::{HttpMethod, ObjectBuilder};

use crate::http::error::ErrorCode;

use super::call::{Call, public, secret};
use super::checkout::html;
use super::part::Part;
use super::schema::{Shape, any_text, flag, instant, list, object, text, the, word};

pub fn proof() -> Part {
    let invariant = object(vec![
        text("name", "What must be equal."),
        text("left", "One side."),
        text("right", "The other."),
        text("difference", "Their difference, which is `0`."),
    ]);
    let shown = object(vec![
        instant("as_of", "When it was read."),
        flag("holds", "Whether all of them are equal."),
        list("invariants", Shape::from(invariant), "Each with both of its sides."),
    ]);
    let about = "The books, proved: each invariant with both of its sides, read in one moment.";
    Part::new("Proof", about).thing("Proof", shown).get(
        &["/v1/proof"],
        secret("getProof", "Prove the books").answers(200, "Both sides of every sum.", the("Proof")),
    )
}

pub fn health() -> Part {
    let live = object(vec![
        word("status", &["ok"], "Always the same."),
        word("phase", &["starting", "ready", "stopping"], "What the server is at."),
        text("version", "Its version."),
    ]);
    let ready = object(vec![word("status", &["ok"], "Always the same.")]);
    let root = object(vec![
        text("name", "What answers here."),
        text("version", "Its version."),
    ]);
    let about = "Whether the server lives, and whether it serves. None of this asks the database.";
    Part::new("Health", about)
        .get(
            &["/"],
            always("getRoot", "See what answers here").answers(200, "Name and version.", root),
        )
        .route(
            HttpMethod::Head,
            &["/"],
            always("headRoot", "See that something answers here").answers_in(200, "It does.", vec![]),
        )
        .get(
            &["/health", "/healthz"],
            always("getHealth", "See whether it lives").answers(200, "It lives.", live),
        )
        .get(
            &["/readyz"],
            public("getReadiness", "See whether it serves").answers(200, "It serves.", ready),
        )
}

pub fn reference() -> Part {
    let document = ObjectBuilder::new()
        .description(Some("An OpenAPI 3.1 document."))
        .build();
    let described = kept(always("getOpenApi", "Get this description")).answers(200, "The document.", document);
    let file = |id, title, media_type| {
        kept(always(id, title)).answers_in(200, "What stands here.", vec![(media_type, html())])
    };
    let style = file("getReferenceStyle", "Get its style", "text/css");
    let script = file("getReferenceScript", "Get its script", "text/javascript");
    Part::new("Reference", "This description of the API, for programs and for people.")
        .get(&["/openapi.json"], described)
        .get(&["/docs"], file("getReference", "Read the reference", "text/html"))
        .get(&["/docs/assets/reference.css"], style)
        .get(&["/docs/assets/reference.js"], script)
}

/// What clients may keep, and ask for again by its tag.
fn kept(call: Call) -> Call {
    call.header(any_text("if-none-match", "The `etag` of what you have."))
        .answers_in(304, "It has not changed.", vec![])
        .refuses(&[ErrorCode::Internal])
}

/// Open to all, and answered whatever the server is at.
fn always(id: &'static str, title: &'static str) -> Call {
    let mut call = public(id, title);
    call.codes.clear();
    call
}
