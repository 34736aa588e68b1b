//! Lists of spend keys: which of them, in which order, and as JSON or as a table.

use actix_web::{HttpResponse, web};
use serde_json::Value;

use crate::domain::ids::WalletId;
use crate::domain::spend::SpendState;
use crate::http::auth::KeyManagerAuth;
use crate::http::csv::{self, Column, Format};
use crate::http::error::ApiError;
use crate::http::page::{envelope, read_page};
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::storage::keys::Owner;
use crate::storage::page::{Page, PageRequest};
use crate::storage::spend_keys::{self as rows, KeyChoice, KeyOrder, SpendKeyRow, Standing};

use super::{live, view};

type State = web::Data<AppState>;

/// A tag has at most so many characters; a longer one is on no key.
const TAG_LENGTH: usize = 255;

const COLUMNS: [Column; 17] = [
    ("spend_key_id", "/spend_key_id"),
    ("name", "/name"),
    ("key_preview", "/key_preview"),
    ("status", "/status"),
    ("tags", "/tags"),
    ("spend_limit", "/spend_limit/amount"),
    ("cycle", "/spend_limit/cycle"),
    ("current_spend", "/current_spend"),
    ("reserved_spend", "/reserved_spend"),
    ("available", "/available"),
    ("resets_at", "/resets_at"),
    ("total_spend", "/total_spend"),
    ("total_requests", "/total_requests"),
    ("allowed_models", "/allowed_models"),
    ("expires_at", "/expires_at"),
    ("last_used_at", "/last_used_at"),
    ("created_at", "/created_at"),
];

/// GET of the list, newest first. `search` finds by name, preview and id; `status` is `active`, `paused`, `expired` or
/// `limited` (its spend or its calls have reached its limit), `tag` one of a key's tags; `sort` is `created`, `name`, `spend` (of all time)
/// or `last_used`; `format=csv` gives a table of all that is chosen.
pub async fn list(auth: KeyManagerAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, choice, format) = (read_page(&query)?, read_choice(&query)?, Format::read(&query)?);
    let asked = query.id::<WalletId>("wallet_id")?;
    let own = auth.only_wallet();
    if own.is_some() && asked.is_some() && own != asked {
        let nothing: Page<SpendKeyRow> = Page {
            rows: Vec::new(),
            next: None,
        };
        return match format {
            Format::Json => Ok(HttpResponse::Ok().json(envelope(&nothing, |_| Value::Null))),
            Format::Csv => csv::whole("spend_keys", &csv::heads(&COLUMNS), &[]),
        };
    }
    let owner = Owner {
        merchant_id: auth.merchant_id(),
        wallet_id: own.or(asked),
    };
    match format {
        Format::Json => {
            let found = find(&state, owner, &choice, page).await?;
            Ok(HttpResponse::Ok().json(envelope(&found, |(row, state)| Value::Object(view::show(row, state)))))
        }
        Format::Csv => {
            csv::stream("spend_keys", &COLUMNS, move |page| {
                let (state, choice) = (state.clone(), choice.clone());
                async move {
                    let found = find(&state, owner, &choice, page).await?;
                    let cells = |(row, state): &(SpendKeyRow, SpendState)| {
                        csv::cells(&Value::Object(view::show(row, state)), &COLUMNS)
                    };
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

/// A page of keys with their live states.
pub async fn find(
    state: &State,
    owner: Owner,
    choice: &KeyChoice,
    page: PageRequest,
) -> Result<Page<(SpendKeyRow, SpendState)>, ApiError> {
    let (choice, now_ms) = (choice.clone(), state.now().wall_ms);
    let found = state
        .database
        .run(move |connection| {
            if choice == KeyChoice::default() {
                rows::list(connection, owner, page)
            } else {
                rows::choose(connection, owner, &choice, (page, now_ms))
            }
        })
        .await?;
    let states = live::states_of(state, &found.rows).await?;
    Ok(Page {
        rows: found.rows.into_iter().zip(states).collect(),
        next: found.next,
    })
}

/// What of a query chooses keys.
pub fn read_choice(query: &Query) -> Result<KeyChoice, ApiError> {
    Ok(KeyChoice {
        search: query.search()?,
        standing: query.one_of("status", &Standing::ALL, Standing::name)?,
        tag: query.plain_text("tag", TAG_LENGTH)?,
        order: query
            .one_of("sort", &KeyOrder::ALL, KeyOrder::name)?
            .unwrap_or_default(),
    })
}
