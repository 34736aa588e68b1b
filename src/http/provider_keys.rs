//! `/v1/provider_keys`: the merchant's own credentials at providers, with which his calls are made in place of the
//! operator's (`provider_key_type: stored`). A new one is used, and a deleted one is not, before the answer leaves; the
//! plain text is never shown again. Where it is unknown whether a change was stored, the rows are asked until they
//! answer, and what they say is what counts.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::{MerchantId, Mode, ProviderKeyId};
use crate::domain::secret::Secret;
use crate::engine::provider_keys::{HeldKey, MerchantKeys};
use crate::engine::random;
use crate::engine::sealing::SealBroken;
use crate::gateway::Worker;
use crate::storage::StorageError;
use crate::storage::provider_keys::{self as rows, ProviderKeyRow};

use super::auth::SecretKeyAuth;
use super::error::{ApiError, ErrorCode};
use super::fields::Fields;
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;
use super::turns::to_the_end;

type State = web::Data<AppState>;

/// The longest credential that is stored.
const LONGEST_KEY: usize = 4096;
/// Of a shorter one no part is shown.
const SHORTEST_HINTED: usize = 12;
/// How long rows that did not answer are left alone.
const INTERVAL: Duration = Duration::from_secs(1);

/// POST `{provider, key, name?}`.
pub async fn create(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["provider", "key", "name"])?;
    let merchant = &auth.0.merchant;
    let wanted = fields.required("provider", fields.text("provider", 255)?)?;
    let key = Secret::new(fields.required("key", fields.text("key", LONGEST_KEY)?)?);
    let name = fields.text("name", 255)?.value();
    let provider = known_provider(&request, merchant.mode(), &wanted)?;
    if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::invalid("key", "must be printable ASCII without spaces"));
    }
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = ProviderKeyId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let sealed = state.sealing.seal(&ProviderKeyRow::place(id), &key);
    let row = ProviderKeyRow {
        id,
        merchant_id: merchant.id,
        provider,
        name,
        sealed: sealed.map_err(|error| ApiError::internal("sealing a credential", &error))?,
        hint: hint(key.expose()),
        created_at_ms: id.created_ms(),
    };
    let shown = show(&row);
    to_the_end(store(state, row, key)).await?;
    Ok(HttpResponse::Created().json(shown))
}

/// GET of the list, newest first.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id) = (read_page(&query)?, auth.merchant_id());
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// DELETE.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("provider_key_id", "provider key");
    let id: ProviderKeyId = request
        .match_info()
        .get("id")
        .unwrap_or("")
        .parse()
        .map_err(|_| unknown())?;
    let merchant_id = auth.merchant_id();
    to_the_end(async move {
        let _turn = state.turns.take(merchant_id.bits()).await;
        let keys = state.provider_keys.clone();
        let work = state.database.run(move |connection| {
            rows::delete(connection, merchant_id, id)?;
            keys.remove(merchant_id, id);
            Ok(())
        });
        work.await.map_err(|error| match in_doubt(&state, merchant_id, error) {
            StorageError::NotFound => unknown(),
            other => ApiError::from(other),
        })
    })
    .await?;
    Ok(HttpResponse::Ok().json(json!({ "id": id, "deleted": true })))
}

/// The work in the database puts the credential in force itself: it may end after its caller has given up on it.
async fn store(state: State, row: ProviderKeyRow, key: Secret<String>) -> Result<(), ApiError> {
    let merchant_id = row.merchant_id;
    let _turn = state.turns.take(merchant_id.bits()).await;
    let keys = state.provider_keys.clone();
    let work = state.database.run(move |connection| {
        rows::replace(connection, &row)?;
        keys.insert(merchant_id, &row.provider, HeldKey { id: row.id, key });
        Ok(())
    });
    Ok(work.await.map_err(|error| in_doubt(&state, merchant_id, error))?)
}

/// The name in the catalogue of what the caller calls the provider.
fn known_provider(request: &HttpRequest, mode: Mode, wanted: &str) -> Result<String, ApiError> {
    let worker = request
        .app_data::<Worker>()
        .ok_or_else(|| ApiError::new(ErrorCode::Starting))?;
    let catalogue = worker.catalogue_for(mode);
    let provider = catalogue.find(wanted);
    let unknown = || {
        ApiError::invalid(
            "provider",
            "is not a provider of this server; GET /v1/services lists them",
        )
    };
    Ok(provider.ok_or_else(unknown)?.name.to_string())
}

/// Passes the error on; where it leaves the end of a change in doubt, that is resolved in the background.
fn in_doubt(state: &State, merchant_id: MerchantId, error: StorageError) -> StorageError {
    if let StorageError::Unavailable(_) = error {
        actix_rt::spawn(read_again(state.clone(), merchant_id));
    }
    error
}

async fn read_again(state: State, merchant_id: MerchantId) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let _turn = state.turns.take(merchant_id.bits()).await;
        let known = state
            .database
            .run(move |connection| rows::load_of(connection, merchant_id));
        let Ok(rows) = known.await else { continue };
        let opened: Result<MerchantKeys, SealBroken> = rows.into_iter().map(|row| open(&state, row)).collect();
        match opened {
            Ok(keys) => state.provider_keys.replace(merchant_id, keys),
            Err(error) => tracing::error!(%error, merchant.id = %merchant_id, "a stored credential is not used"),
        }
        return;
    }
}

fn open(state: &AppState, row: ProviderKeyRow) -> Result<(String, HeldKey), SealBroken> {
    let key = state.sealing.open(&ProviderKeyRow::place(row.id), &row.sealed)?;
    Ok((row.provider, HeldKey { id: row.id, key }))
}

fn show(row: &ProviderKeyRow) -> Value {
    json!({
        "provider_key_id": row.id,
        "provider": row.provider,
        "name": row.name,
        "key_hint": row.hint,
        "created_at": iso_millis(row.created_at_ms),
    })
}

/// The last four characters of a key that is long enough to spare them. Keys are ASCII.
fn hint(key: &str) -> String {
    let last = key.len().checked_sub(4).filter(|_| key.len() >= SHORTEST_HINTED);
    last.and_then(|start| key.get(start..)).unwrap_or("****").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_shows_four_characters_of_a_long_key_and_nothing_of_a_short_one() {
        let table = [
            ("sk-0123456789", "6789"),
            ("sk-012345678", "5678"),
            ("sk-01234567", "****"),
            ("abc", "****"),
            ("", "****"),
        ];
        for (key, shown) in table {
            assert_eq!(hint(key), shown, "{key}");
        }
    }
}
