//! `/v1/refusals`: which calls were refused before anything of them was recorded, and why. They are counted by hour, spend
//! key and code, with what the last one was told; a call that was sent on and failed has a row among the requests instead.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::domain::ids::{MerchantId, SpendKeyId};
use crate::storage::page::{Page, PageRequest};
use crate::storage::refusals::{self as rows, RefusalFilter, RefusalRow};

use super::auth::SecretKeyAuth;
use super::csv::{self, Column, Format};
use super::error::{ApiError, ErrorCode};
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::iso_millis;

type State = web::Data<AppState>;

const COLUMNS: [Column; 8] = [
    ("last_at", "/last_at"),
    ("first_at", "/first_at"),
    ("call_count", "/call_count"),
    ("code", "/code"),
    ("status", "/status"),
    ("message", "/message"),
    ("spend_key_id", "/spend_key_id"),
    ("request_id", "/request_id"),
];

/// GET `?spend_key_id=&code=&from=&to=`: the latest first; a row for each hour, spend key and code. They are stored each
/// second.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, format) = (read_page(&query)?, Format::read(&query)?);
    let (filter, merchant_id) = (read_filter(&query)?, auth.merchant_id());
    match format {
        Format::Json => {
            let found = find(&state, merchant_id, filter, page).await?;
            Ok(HttpResponse::Ok().json(envelope(&found, show)))
        }
        Format::Csv => {
            csv::stream("refusals", &COLUMNS, move |page| {
                let (state, filter) = (state.clone(), filter.clone());
                async move {
                    let found = find(&state, merchant_id, filter, page).await?;
                    let cells = |row| csv::cells(&show(row), &COLUMNS);
                    Ok(csv::Part {
                        rows: found.rows.iter().map(cells).collect(),
                        next: found.next,
                    })
                }
            })
            .await
        }
    }
}

async fn find(
    state: &State,
    merchant_id: MerchantId,
    filter: RefusalFilter,
    page: PageRequest,
) -> Result<Page<RefusalRow>, ApiError> {
    let work = move |connection: &mut _| rows::list(connection, merchant_id, &filter, page);
    Ok(state.database.run(work).await?)
}

fn read_filter(query: &Query) -> Result<RefusalFilter, ApiError> {
    let instant = |name| Ok::<_, ApiError>(query.instant(name)?.map(|instant| instant.timestamp_millis()));
    let code = query.one_of("code", ErrorCode::ALL, ErrorCode::word)?;
    Ok(RefusalFilter {
        spend_key_id: query.id::<SpendKeyId>("spend_key_id")?,
        code: code.map(|code| code.word().to_owned()),
        from_ms: instant("from")?,
        to_ms: instant("to")?,
    })
}

fn show(row: &RefusalRow) -> Value {
    json!({
        "spend_key_id": row.spend_key_id,
        "code": row.code,
        "status": row.status,
        "message": row.message,
        "request_id": row.request_id,
        "call_count": row.count,
        "first_at": iso_millis(row.first_ms),
        "last_at": iso_millis(row.last_ms),
    })
}
