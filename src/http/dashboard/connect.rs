//! `/auth/connect` and `/auth/cli`: where a user lets a program in that asks from his own computer, or the session of an
//! agent that waits with a code. The page says who asks and to whose account; nothing is given before the button is
//! pressed. The browser is led to `http://127.0.0.1:{port}/callback` and nowhere else.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::domain::credential::KeyHash;
use crate::engine::keyring::Credential;
use crate::http::audit::note_body;
use crate::http::auth::KeyManagerAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::logins::{Login, issue};
use crate::http::mcp::login::{self, Pending};
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::http::time::iso_millis;

use super::assets;
use super::form::{Form, object};
use super::session::Session;
use super::shell::{self, POLICY, see_other};
use super::visit::Visit;

/// Ports below are other programs'.
const LEAST_PORT: u16 = 1024;
const STATE_LIMIT: usize = 256;

type State = web::Data<AppState>;

#[derive(Template)]
#[template(path = "dashboard/connect.html")]
struct ConnectPage {
    style: &'static str,
    path: &'static str,
    merchant_name: String,
    is_test: bool,
    form_token: Arc<str>,
    /// Dollars a day that an agent's own calls may cost; empty means no limit.
    agent_limit: String,
    asked: Asked,
}

#[derive(Template)]
#[template(path = "dashboard/connected.html")]
struct ConnectedPage {
    style: &'static str,
    title: &'static str,
    message: &'static str,
}

/// Who asks.
enum Asked {
    /// A program on the user's own computer, which takes a code at this port.
    Program { port: u16, state: String },
    /// An agent's session.
    Agent(Arc<Pending>),
}

impl Asked {
    /// Who asks in an address; what does not fit is refused in words and never shown.
    fn read(state: &AppState, text: impl Fn(&str) -> String) -> Result<Self, ApiError> {
        let code = text("request");
        if !code.is_empty() {
            let found = state.mcp.find_login(&code, state.now().wall_ms);
            let message = "Nobody waits with this code any more. Ask the agent to sign in again.";
            return found
                .map(Self::Agent)
                .ok_or_else(|| ApiError::new(ErrorCode::NotFound).say(message));
        }
        let port = text("port").parse().ok().filter(|port| *port >= LEAST_PORT);
        let port = port.ok_or_else(|| {
            ApiError::invalid(
                "port",
                format!("must be the port at which the program listens, from {LEAST_PORT} to 65535"),
            )
        })?;
        let state = text("state");
        if state.is_empty() {
            return Err(ApiError::invalid(
                "state",
                "is missing: start the sign-in again in the program",
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if state.len() > STATE_LIMIT || !state.bytes().all(is_plain) {
            return Err(ApiError::invalid("state", "is not one that a program makes up"));
        }
        Ok(Self::Program { port, state })
    }
}

/// GET: who asks, and the buttons.
pub async fn show(request: HttpRequest, state: State, session: Session) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(request.query_string());
    let text = |name: &str| query.text(name).ok().flatten().unwrap_or_default().to_owned();
    let asked = Asked::read(&state, text)?;
    let policy = match &asked {
        // Browsers hold where a form leads on to against the policy as well.
        Asked::Program { port, .. } => POLICY.replace(
            "form-action 'self'",
            &format!("form-action 'self' http://127.0.0.1:{port}"),
        ),
        Asked::Agent(_) => POLICY.to_owned(),
    };
    let page = ConnectPage {
        style: assets::style_path(),
        path: path_of(&request),
        merchant_name: session.row.merchant_name.clone(),
        is_test: session.is_test(),
        form_token: session.form_token.clone(),
        agent_limit: state.mcp.options().session_spend_limit.clone(),
        asked,
    };
    let mut response = shell::page(StatusCode::OK, &page)?;
    let policy = HeaderValue::try_from(policy).map_err(|error| ApiError::internal("a page's policy", &error))?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// POST: what the user decided.
pub async fn decide(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let (request, state) = (&visit.request, &visit.state);
    note_body(request, &object([("decision", form.json_text("decision"))]));
    let asked = Asked::read(state, |name| form.text(name).to_owned())?;
    let is_authorized = match form.text("decision") {
        "authorize" => true,
        "cancel" => false,
        _ => return Err(ApiError::invalid("decision", "must be authorize or cancel")),
    };
    let (merchant, actor) = (visit.manager().merchant().clone(), visit.session().actor());
    match (asked, is_authorized) {
        (Asked::Program { port, state: echo }, true) => {
            let login = Login {
                authorized_by: authorized_by(state, &visit.manager()),
                merchant,
                key_name: key_name(request, state),
                actor,
            };
            let code = issue(state, login)?;
            Ok(back_to(port, &[("code", code.expose()), ("state", &echo)]))
        }
        (Asked::Program { port, state: echo }, false) => {
            Ok(back_to(port, &[("error", "access_denied"), ("state", &echo)]))
        }
        (Asked::Agent(pending), true) => {
            login::authorize(state, &pending, merchant, actor).await?;
            ended(
                "Signed in",
                "The agent goes on by itself. Its keys end with its session, or when you revoke them.",
            )
        }
        (Asked::Agent(pending), false) => {
            login::refuse(state, &pending);
            ended("Not signed in", "The agent got nothing.")
        }
    }
}

/// Of the secret key that a program gets.
fn key_name(request: &HttpRequest, state: &AppState) -> String {
    let client = match path_of(request) {
        "/auth/cli" => "a command line",
        _ => "an application",
    };
    let date = iso_millis(state.now().wall_ms);
    format!("Login from {client}, {}", date.get(..10).unwrap_or_default())
}

/// The secret key with which the user is signed in; `None` for one who came by a link.
fn authorized_by(state: &AppState, auth: &KeyManagerAuth) -> Option<KeyHash> {
    let is_his = |known: &Credential| match (known, auth) {
        (Credential::Secret(known), KeyManagerAuth::Secret(key)) => known.id == key.id,
        (Credential::Secret(_) | Credential::Wallet(_) | Credential::Spend { .. }, _) => false,
    };
    state.keyring.hashes_of(is_his).pop()
}

/// The path under which the page was opened.
fn path_of(request: &HttpRequest) -> &'static str {
    if request.path() == "/auth/cli" {
        "/auth/cli"
    } else {
        "/auth/connect"
    }
}

/// Leads the browser to the program, which is on the same computer.
fn back_to(port: u16, pairs: &[(&str, &str)]) -> HttpResponse {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mut response = see_other(&format!("http://127.0.0.1:{port}/callback?{query}"));
    let silent = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(REFERRER_POLICY, silent);
    response
}

fn ended(title: &'static str, message: &'static str) -> Result<HttpResponse, ApiError> {
    let page = ConnectedPage {
        style: assets::style_path(),
        title,
        message,
    };
    shell::page(StatusCode::OK, &page)
}
