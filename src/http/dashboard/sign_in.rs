//! Signing in with a secret key, and signing out. A wrong key counts at the address's limit of failed credentials, and
//! the answer says no more of it than the API does. After signing in the browser goes back to where it wanted to go,
//! but only to a path of this dashboard.

use actix_web::cookie::Cookie;
use actix_web::http::header::REFERER;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use url::Position;

use crate::domain::credential::{KeyKind, parse_kind};
use crate::domain::secret::Secret;
use crate::engine::keyring::Credential;
use crate::http::address::client_address;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::json_body::read_bytes;
use crate::http::query::Query;
use crate::http::state::AppState;

use super::assets;
use super::form::Form;
use super::guard::require_own_origin;
use super::session::{Entrant, Session};
use super::shell::{self, see_other};
use super::visit::Visit;

const PATH: &str = "/dashboard/sign_in";
const HOME: &str = "/dashboard";

type State = web::Data<AppState>;

#[derive(Template)]
#[template(path = "dashboard/sign_in.html")]
struct SignInPage {
    style: &'static str,
    /// Where to go on to.
    next: String,
    refusal: Option<String>,
}

/// GET: the form.
pub async fn show(request: HttpRequest, state: State) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    let query = Query::parse(request.query_string());
    let next = own_path(query.text("next").ok().flatten().unwrap_or(HOME));
    if Session::find(&state, &request).await?.is_some() {
        return Ok(see_other(&next));
    }
    page(StatusCode::OK, next, None)
}

/// POST: a session for a secret key.
pub async fn enter(request: HttpRequest, state: State, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    require_own_origin(&state, &request)?;
    let form = Form::of_body(&read_bytes(&request, payload.into_inner()).await?)?;
    let next = own_path(form.text("next"));
    let token = Secret::new(form.text("secret_key").to_owned());
    let entrant = match state.keyring.find(token.expose()) {
        Some(Credential::Secret(key)) => Entrant {
            merchant_id: key.merchant.id,
            secret_key_id: Some(key.id),
        },
        Some(Credential::Wallet(_) | Credential::Spend { .. }) => {
            return refuse(
                next,
                "This is a key of another kind. The dashboard opens with a secret key (aks_...).",
            );
        }
        None => {
            if let Err(error) = state
                .edge()
                .failure_limit
                .count(client_address(&request, &state.edge().trusted_proxies))
            {
                return page(error.status(), next, Some(error.message().to_owned()));
            }
            let kind = parse_kind(token.expose());
            return refuse(
                next,
                match kind {
                    Some(KeyKind::Secret(_)) => "This key is not known here. It may have been deleted.",
                    Some(_) | None => "This is not a secret key. It begins with aks_ and is copied whole.",
                },
            );
        }
    };
    let cookie = Session::open(&state, &request, entrant).await?;
    with_cookie(see_other(&next), &cookie)
}

/// POST: ends the session.
pub async fn leave(request: HttpRequest, state: State, session: Session) -> Result<HttpResponse, ApiError> {
    let cookie = session.close(&state, &request).await?;
    with_cookie(see_other(PATH), &cookie)
}

/// POST: ends every session of the merchant, this one too.
pub async fn leave_everywhere(visit: Visit) -> Result<HttpResponse, ApiError> {
    let cookie = visit.session().close_all(&visit.state, &visit.request).await?;
    with_cookie(see_other(PATH), &cookie)
}

/// An answer that sets this cookie.
pub fn with_cookie(mut answer: HttpResponse, cookie: &Cookie<'static>) -> Result<HttpResponse, ApiError> {
    answer
        .add_cookie(cookie)
        .map_err(|error| ApiError::internal("setting a cookie", &error))?;
    Ok(answer)
}

/// The sign-in that leads back to what was asked for.
pub fn path_back_to(request: &HttpRequest) -> String {
    let wanted = request.uri().path_and_query().map_or(HOME, |wanted| wanted.as_str());
    leading_to(wanted)
}

/// The sign-in that leads back to the page where a form stood: what was posted to is not always a page.
pub fn path_back_from(request: &HttpRequest) -> String {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return path_back_to(request);
    }
    let from = request.headers().get(REFERER).and_then(|from| from.to_str().ok());
    let from = from.and_then(|from| url::Url::parse(from).ok());
    from.map_or_else(
        || PATH.to_owned(),
        |from| leading_to(&from[Position::BeforePath..Position::AfterQuery]),
    )
}

fn leading_to(wanted: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(own_path(wanted).as_bytes()).collect();
    format!("{PATH}?next={next}")
}

fn refuse(next: String, why: &str) -> Result<HttpResponse, ApiError> {
    page(ErrorCode::InvalidApiKey.status(), next, Some(why.to_owned()))
}

fn page(status: StatusCode, next: String, refusal: Option<String>) -> Result<HttpResponse, ApiError> {
    let page = SignInPage {
        style: assets::style_path(),
        next,
        refusal,
    };
    shell::page(status, &page)
}

/// A path of this server that a browser may be led to; what is anything else becomes the first page.
fn own_path(text: &str) -> String {
    let is_own = ["/dashboard", "/auth/"].iter().any(|prefix| text.starts_with(prefix));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own && is_plain && text.len() <= 2000 {
        text.to_owned()
    } else {
        HOME.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_posted_a_form_is_led_back_to_its_page() {
        let posted = |from: &str| {
            let request = actix_web::test::TestRequest::post().uri("/dashboard/calls/req_1/end");
            path_back_from(&request.insert_header((REFERER, from)).to_http_request())
        };
        let back = format!("{PATH}?next=%2Fdashboard%2Fcalls%3Fa%3D1");
        assert_eq!(posted("https://own.example/dashboard/calls?a=1#x"), back);
        assert_eq!(posted("https://evil.example/else"), format!("{PATH}?next=%2Fdashboard"));
        assert_eq!(posted("no address"), PATH);
    }

    #[test]
    fn nobody_is_led_to_another_site() {
        for text in ["/dashboard/spend_keys?done=saved", "/auth/connect?state=a&port=1"] {
            assert_eq!(own_path(text), text);
        }
        let long = format!("/dashboard/{}", "x".repeat(3000));
        for text in [
            "",
            "//evil",
            "https://evil",
            "/\\evil",
            "/dashboard\\@evil",
            "/dashboard\r\nx",
            "/v1/x",
            &long,
        ] {
            assert_eq!(own_path(text), HOME, "{text}");
        }
    }
}
