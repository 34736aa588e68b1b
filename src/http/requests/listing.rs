//! Lists of requests: which of them, and as JSON or as a table.

use actix_web::{HttpResponse, web};

use crate::domain::ids::MerchantId;
use crate::domain::request::{Outcome, UsageSource};
use crate::http::auth::SecretKeyAuth;
use crate::http::csv::{self, Column, Format};
use crate::http::error::ApiError;
use crate::http::page::{envelope, read_page};
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::storage::page::{Page, PageRequest};
use crate::storage::requests::{self as rows, Ending, RequestRow, RequestSearch};

use super::read_filter;
use super::shown::{MeterKinds, show};

type State = web::Data<AppState>;

const SOURCES: [UsageSource; 6] = [
    UsageSource::Provider,
    UsageSource::Partial,
    UsageSource::Estimated,
    UsageSource::CrashEstimate,
    UsageSource::None,
    UsageSource::Reported,
];

const COLUMNS: [Column; 22] = [
    ("request_id", "/request_id"),
    ("created_at", "/created_at"),
    ("status", "/status"),
    ("http_status", "/http_status"),
    ("provider", "/provider"),
    ("model", "/model"),
    ("endpoint", "/endpoint"),
    ("spend_key_id", "/spend_key_id"),
    ("customer_id", "/customer_id"),
    ("meter_id", "/meter_id"),
    ("input_tokens", "/model_usage/input_tokens"),
    ("cache_read_tokens", "/model_usage/cache_read_tokens"),
    ("output_tokens", "/model_usage/output_tokens"),
    ("cost", "/cost"),
    ("charge", "/charge/amount"),
    ("usage_source", "/usage_source"),
    ("streaming", "/streaming"),
    ("duration_ms", "/duration_ms"),
    ("first_token_ms", "/first_token_ms"),
    ("attempt_of", "/attempt_of"),
    ("response_id", "/response_id"),
    ("metadata", "/metadata"),
];

/// GET of the list, newest first. Beside `spend_key_id`, `customer_id`, `meter_id` and metadata: `model`, `provider`,
/// `status` (`completed`, `error`, a status such as `429`, or a class such as `5xx`), `usage_source`, `from` and `to`
/// (instants), and `search`: the beginning of an id, or the whole id that the caller or OpenAI's responses gave. Where much
/// has to be looked through, a page may be short and still say `has_more`. `format=csv` gives a table of all that is found.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let merchant_id = auth.merchant_id();
    let (page, format) = (read_page(&query)?, Format::read(&query)?);
    let search = read_search(&query, &state, merchant_id)?;
    match format {
        Format::Json => {
            let (found, kinds) = find(&state, merchant_id, search, page).await?;
            Ok(HttpResponse::Ok().json(envelope(&found, |row| show(row, &kinds))))
        }
        Format::Csv => {
            csv::stream("requests", &COLUMNS, move |page| {
                let (state, search) = (state.clone(), search.clone());
                async move {
                    let (found, kinds) = find(&state, merchant_id, search, page).await?;
                    let cells = |row: &RequestRow| csv::cells(&show(row, &kinds), &COLUMNS);
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
    search: RequestSearch,
    page: PageRequest,
) -> Result<(Page<RequestRow>, MeterKinds), ApiError> {
    let work = state.database.run(move |connection| {
        let plain = RequestSearch {
            filter: search.filter.clone(),
            ..RequestSearch::default()
        };
        let found = if search == plain {
            rows::list(connection, merchant_id, &search.filter, page)?
        } else {
            rows::search(connection, merchant_id, &search, page)?
        };
        let kinds = MeterKinds::of(connection, &found.rows)?;
        Ok((found, kinds))
    });
    Ok(work.await?)
}

/// What of a query chooses requests.
pub fn read_search(query: &Query, state: &AppState, merchant_id: MerchantId) -> Result<RequestSearch, ApiError> {
    let instant = |name| Ok::<_, ApiError>(query.instant(name)?.map(|instant| instant.timestamp_millis()));
    let (from_ms, to_ms) = (instant("from")?, instant("to")?);
    if from_ms.zip(to_ms).is_some_and(|(from_ms, to_ms)| to_ms < from_ms) {
        return Err(ApiError::invalid("to", "must not be before `from`"));
    }
    Ok(RequestSearch {
        filter: read_filter(query, state, merchant_id)?,
        model: query.plain_text("model", 255)?,
        provider: query.plain_text("provider", 255)?,
        ending: query.text("status")?.map(read_ending).transpose()?,
        usage_source: query.one_of("usage_source", &SOURCES, UsageSource::name)?,
        from_ms,
        to_ms,
        search: query.search()?,
    })
}

fn read_ending(text: &str) -> Result<Ending, ApiError> {
    if let Some(outcome) = [Outcome::Completed, Outcome::Error]
        .into_iter()
        .find(|one| one.name() == text)
    {
        return Ok(Ending::Outcome(outcome));
    }
    let wrong = || {
        ApiError::invalid(
            "status",
            "must be completed, error, a status such as 429, or a class such as 5xx",
        )
    };
    let is_status = text.len() == 3 && matches!(text.as_bytes()[0], b'1'..=b'5');
    if let Some(class) = text.strip_suffix("xx").filter(|_| is_status) {
        let lowest: u16 = class.parse::<u16>().map_err(|_| wrong())? * 100;
        return Ok(Ending::Status(lowest, lowest + 99));
    }
    let status = text.parse::<u16>().ok().filter(|_| is_status).ok_or_else(wrong)?;
    Ok(Ending::Status(status, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_word_a_number_or_a_class_and_nothing_else() {
        assert_eq!(read_ending("error").unwrap(), Ending::Outcome(Outcome::Error));
        assert_eq!(read_ending("429").unwrap(), Ending::Status(429, 429));
        assert_eq!(read_ending("5xx").unwrap(), Ending::Status(500, 599));
        for junk in [
            "", "xx", "6xx", "0xx", "42", "4290", "-12", "+42", "4x9", "\u{b2}xx", "failed", "4\u{e4}",
        ] {
            assert!(read_ending(junk).is_err(), "{junk}");
        }
    }
}
