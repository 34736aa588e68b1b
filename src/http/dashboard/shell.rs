//! What stands around every page: the navigation, the merchant, what was just done, and the headers that keep a page to
//! itself (its policy lets nothing run or load that this server does not serve).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::http::error::ApiError;
use crate::http::query::Query;

use super::assets;
use super::session::Session;

/// Nothing from elsewhere, no inline script or style, in nobody's frame.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    AiSpend,
    Overview,
    Requests,
    Refusals,
    Calls,
    Customers,
    Subscriptions,
    Plans,
    Bundles,
    Meters,
    Webhooks,
    Wallet,
    Secrets,
    Providers,
    Proof,
    Audit,
}

/// One entry of the navigation.
pub struct Entry {
    place: Place,
    pub label: &'static str,
    pub path: &'static str,
}

/// Entries under one heading.
pub struct Group {
    /// Empty for the first.
    pub label: &'static str,
    pub entries: &'static [Entry],
}

const NAVIGATION: &[Group] = &[
    Group {
        label: "",
        entries: &[
            entry(Place::AiSpend, "AI Spend", "/dashboard/spend_keys"),
            entry(Place::Overview, "Overview", "/dashboard/overview"),
            entry(Place::Requests, "Requests", "/dashboard/requests"),
            entry(Place::Refusals, "Refusals", "/dashboard/refusals"),
            entry(Place::Calls, "In flight", "/dashboard/calls"),
        ],
    },
    Group {
        label: "Monetize",
        entries: &[
            entry(Place::Customers, "Customers", "/dashboard/customers"),
            entry(Place::Subscriptions, "Subscriptions", "/dashboard/subscriptions"),
            entry(Place::Plans, "Plans", "/dashboard/plans"),
            entry(Place::Bundles, "Bundles", "/dashboard/credit_bundles"),
            entry(Place::Meters, "Meters", "/dashboard/meters"),
            entry(Place::Webhooks, "Webhooks", "/dashboard/webhooks"),
        ],
    },
    Group {
        label: "Account",
        entries: &[
            entry(Place::Wallet, "Wallet", "/dashboard/wallet"),
            entry(Place::Secrets, "Secrets", "/dashboard/secret_keys"),
            entry(Place::Providers, "Providers", "/dashboard/providers"),
            entry(Place::Proof, "Proof", "/dashboard/proof"),
            entry(Place::Audit, "Audit", "/dashboard/audit_events"),
        ],
    },
];

const fn entry(place: Place, label: &'static str, path: &'static str) -> Entry {
    Entry { place, label, path }
}

/// What was just done, by the word that a form's answer leads back with: `?done=paused`.
const DONE: &[(&str, &str)] = &[
    ("created", "Created."),
    ("saved", "Saved."),
    (
        "paused",
        "Paused. New calls are refused until you resume it; calls that run go on to their end.",
    ),
    ("resumed", "Resumed. Calls go through again."),
    ("rotated", "Rotated. The old secret is refused from now on."),
    (
        "revoked",
        "Revoked. The key is refused for ever, and its running streams were cut.",
    ),
    ("deleted", "Deleted."),
    ("ended", "Ended. It is among the requests with what it cost."),
    ("over", "It had ended by itself already."),
    ("funded", "Paid. The money is in the wallet."),
    (
        "funding",
        "The payment is under way. The money is in the wallet when it has come.",
    ),
    (
        "unsure",
        "It is not known yet whether the payment was made. Look at what moved the wallet in a minute before you pay again.",
    ),
    ("proving", "The books are being proved already. Reload in a moment."),
    ("assigned", "Assigned. The customer is on this plan from now on."),
    (
        "cancelled",
        "Cancelled. It runs to the end of its cycle and then ends with it.",
    ),
    ("withdrawn", "Taken back. It renews at the end of its cycle as before."),
    ("topped_up", "Saved. It holds from the next time that credit runs out."),
    (
        "enabled",
        "Enabled. It is told what happens from now on, and what was left to be sent.",
    ),
    (
        "disabled",
        "Disabled. It is told nothing, and what happens meanwhile is not kept for it.",
    ),
    (
        "signing",
        "Rotated. The new secret signs from now on; check with both until the old one ends.",
    ),
    (
        "replayed",
        "Due at once. Reload in a moment to see what the endpoint said.",
    ),
];

/// See the module.
pub struct Shell {
    place: Place,
    pub merchant_name: String,
    pub is_test: bool,
    pub form_token: Arc<str>,
    pub notice: Option<&'static str>,
}

impl Shell {
    pub fn new(session: &Session, request: &HttpRequest, place: Place) -> Self {
        let query = Query::parse(request.query_string());
        let done = query.text("done").ok().flatten().unwrap_or("");
        Self {
            place,
            merchant_name: session.row.merchant_name.clone(),
            is_test: session.is_test(),
            form_token: session.form_token.clone(),
            notice: DONE.iter().find(|(word, _)| *word == done).map(|(_, text)| *text),
        }
    }

    pub fn groups(&self) -> &'static [Group] {
        NAVIGATION
    }

    pub fn is_at(&self, entry: &Entry) -> bool {
        entry.place == self.place
    }

    pub fn style(&self) -> &'static str {
        assets::style_path()
    }

    pub fn script(&self) -> &'static str {
        assets::script_path()
    }
}

/// A whole page.
pub fn page(status: StatusCode, template: &impl Template) -> Result<HttpResponse, ApiError> {
    let body = template
        .render()
        .map_err(|error| ApiError::internal("rendering a page", &error))?;
    Ok(html(status).body(body))
}

/// An answer of HTML with all its headers, without its body.
pub fn html(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        // Coming back to a page asks for it again, so that nobody reads what is no longer so.
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ));
    response
}

/// Leads on by a GET; the path is of this server.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, path))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}
