//! Links that sign in once: made on the operator's listener for the command line, good for ten minutes. Opening one
//! shows a button and does nothing, so that a preview of it in a chat does not use it up. The command line ends all
//! sessions of a merchant here too, whoever opened them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::PgConnection;
use serde_json::json;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::engine::random;
use crate::http::address::client_address;
use crate::http::audit;
use crate::http::error::ApiError;
use crate::http::fields::Fields;
use crate::http::json_body::JsonBody;
use crate::http::operator::token::OperatorAuth;
use crate::http::state::AppState;
use crate::http::time::iso_millis;
use crate::storage::StorageError;
use crate::storage::merchants::{self, MerchantRow};
use crate::storage::sessions::{self as rows, LinkLifetime};

use super::assets;
use super::guard::require_own_origin;
use super::session::{Entrant, Session};
use super::shell::{self, see_other};
use super::sign_in::with_cookie;

const LIFETIME_MS: i64 = 600_000;

type State = web::Data<AppState>;

#[derive(Template)]
#[template(path = "dashboard/link.html")]
struct LinkPage {
    style: &'static str,
    /// `None` where the link is over.
    path: Option<String>,
}

/// POST `/operator/dashboard_links` `{merchant_id?}`, on the operator's listener: the path of a new link for this
/// merchant, or for the oldest one.
pub async fn create(_: OperatorAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let wanted = wanted_merchant(&body)?;
    let bytes = random::bytes::<32>().map_err(|error| ApiError::internal("making a link", &error))?;
    let token = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
    let hash = state.keyring.hash(token.expose());
    let now_ms = state.now().wall_ms;
    let lifetime = LinkLifetime {
        now_ms,
        expires_at_ms: now_ms.saturating_add(LIFETIME_MS),
    };
    let made = state.database.run(move |connection| {
        let merchant = find_merchant(connection, wanted)?;
        rows::create_link(connection, &hash, merchant.id, lifetime)?;
        Ok(merchant)
    });
    let merchant = made.await.map_err(unknown_merchant)?;
    audit::note_operator(&state, merchant.id, "dashboard_links.create", merchant.id.to_string()).await?;
    Ok(HttpResponse::Created().json(json!({
        "path": format!("/dashboard/link/{}", token.expose()),
        "merchant_id": merchant.id,
        "merchant_name": merchant.name,
        "expires_at": iso_millis(lifetime.expires_at_ms),
    })))
}

/// POST `/operator/dashboard_sessions/end` `{merchant_id?}`, on the operator's listener: signs everybody out of the
/// dashboard of this merchant, or of the oldest one, and ends the links that nobody has used.
pub async fn end_sessions(_: OperatorAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let wanted = wanted_merchant(&body)?;
    let ended = state.database.run(move |connection| {
        let merchant = find_merchant(connection, wanted)?;
        let count = rows::close_all(connection, merchant.id)?;
        Ok((merchant, count))
    });
    let (merchant, count) = ended.await.map_err(unknown_merchant)?;
    audit::note_operator(&state, merchant.id, "sessions.end", merchant.id.to_string()).await?;
    Ok(HttpResponse::Ok().json(json!({
        "merchant_id": merchant.id,
        "merchant_name": merchant.name,
        "ended_count": count,
    })))
}

fn wanted_merchant(body: &JsonBody) -> Result<Option<MerchantId>, ApiError> {
    let fields = Fields::of_body(&body.0, &["merchant_id"])?;
    let wanted = fields.parsed("merchant_id", "is not the id of a merchant", |text| text.parse().ok())?;
    Ok(wanted.value())
}

/// The one who is wanted, or else the oldest.
fn find_merchant(connection: &mut PgConnection, wanted: Option<MerchantId>) -> Result<MerchantRow, StorageError> {
    let rows = merchants::list(connection)?;
    let mut rows = rows.into_iter();
    rows.find(|row| wanted.is_none_or(|wanted| wanted == row.id))
        .ok_or(StorageError::NotFound)
}

fn unknown_merchant(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::missing("merchant_id", "merchant"),
        other => other.into(),
    }
}

/// GET: the button.
pub async fn show(request: HttpRequest, state: State) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    let page = LinkPage {
        style: assets::style_path(),
        path: Some(request.path().to_owned()),
    };
    shell::page(StatusCode::OK, &page)
}

/// POST: takes the link and opens a session.
pub async fn enter(request: HttpRequest, state: State) -> Result<HttpResponse, ApiError> {
    state.phase.require_ready()?;
    require_own_origin(&state, &request)?;
    let hash = state.keyring.hash(request.match_info().get("link").unwrap_or(""));
    let now_ms = state.now().wall_ms;
    let taken = state
        .database
        .run(move |connection| rows::take_link(connection, &hash, now_ms))
        .await;
    let merchant_id = match taken {
        Ok(merchant_id) => merchant_id,
        Err(StorageError::NotFound) => {
            state
                .edge()
                .failure_limit
                .count(client_address(&request, &state.edge().trusted_proxies))?;
            let page = LinkPage {
                style: assets::style_path(),
                path: None,
            };
            return shell::page(StatusCode::GONE, &page);
        }
        Err(error) => return Err(error.into()),
    };
    let entrant = Entrant {
        merchant_id,
        secret_key_id: None,
    };
    let cookie = Session::open(&state, &request, entrant).await?;
    with_cookie(see_other("/dashboard"), &cookie)
}
