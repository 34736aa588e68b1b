//! POST `/v1/requests`: a usage that a merchant reports after the fact. It is charged however little credit is left, for
//! it has been served already. Its `request_id` is the merchant's, and good for one request for ever: the same id again
//! gets the request that has it. Answered once it is in Postgres.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::Value;

use crate::domain::ids::{CustomerId, MerchantId, RequestId};
use crate::domain::metadata::Metadata;
use crate::domain::meter::{Meter, Metered as Used, RateType};
use crate::domain::money::Money;
use crate::domain::request::{Metered, OpenRequest, Outcome, ProviderKeyType, Settlement, UsageSource};
use crate::domain::usage::{COUNT_MAX, Usage};
use crate::engine::customer_accounts::{ReportClaim, Reported, Whose};
use crate::engine::keyring::Merchant;
use crate::engine::random;
use crate::gateway::{admission_at, metered_quantity};
use crate::http::auth::SecretKeyAuth;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::fields::{Fields, Range};
use crate::http::json_body::JsonBody;
use crate::http::state::AppState;
use crate::http::turns::to_the_end;
use crate::storage::StorageError;
use crate::storage::requests as rows;
use crate::storage::retention;

use super::shown::{MeterKinds, show};

type State = web::Data<AppState>;

/// The longest id of a merchant's own, in bytes.
const ID_LIMIT_BYTES: usize = 255;
const FIELDS: [&str; 10] = [
    "request_id",
    "customer_id",
    "meter_slug",
    "metadata",
    "input_tokens",
    "output_tokens",
    "input_characters",
    "output_characters",
    "input_seconds",
    "output_seconds",
];
/// How long a report waits for one of the same id that is under way.
const TURN: Duration = Duration::from_millis(25);
const TURNS: u32 = 200;

/// What a report says.
struct Report {
    request_id: String,
    customer_id: CustomerId,
    meter: std::sync::Arc<Meter>,
    metadata: String,
    usage: Usage,
}

/// POST: 201 with the new request, 200 with the one that has this id already, 409 where that has been purged.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let merchant = auth.0.merchant.clone();
    let named = Fields::of_body(&body.0, &FIELDS)?;
    let request_id = read_request_id(&named)?;
    let claim = claim(&state, merchant.id, &request_id).await?;
    if let Some(known) = find(&state, merchant.id, &request_id).await? {
        return Ok(HttpResponse::Ok().json(known));
    }
    // After the row was not found: what goes in between has left its mark by now.
    if was_purged(&state, merchant.id, &request_id).await? {
        return Err(purged());
    }
    let report = read(&state, &merchant, &named, request_id)?;
    // To its end, whether or not the caller waits for it, with the right to the id kept until then.
    let made = to_the_end(async move {
        let _claim: ReportClaim = claim;
        let caller_id = report.request_id.clone();
        make(&state, &merchant, report).await?;
        find(&state, merchant.id, &caller_id).await
    });
    let made = made.await?;
    let made = made.ok_or_else(|| ApiError::internal("reading a report", &"it is not in the database"))?;
    Ok(HttpResponse::Created().json(made))
}

/// The request that the merchant reported under this id, as it is shown.
pub async fn find(state: &State, merchant: MerchantId, caller_id: &str) -> Result<Option<Value>, ApiError> {
    let caller_id = caller_id.to_owned();
    let found = state.database.run(move |connection| {
        let row = match rows::find_reported(connection, merchant, &caller_id) {
            Ok(row) => row,
            Err(StorageError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let kinds = MeterKinds::of(connection, std::slice::from_ref(&row))?;
        Ok(Some(show(&row, &kinds)))
    });
    Ok(found.await?)
}

async fn was_purged(state: &State, merchant: MerchantId, caller_id: &str) -> Result<bool, ApiError> {
    let caller_id = caller_id.to_owned();
    let known = state
        .database
        .run(move |connection| retention::was_reported(connection, merchant, &caller_id));
    Ok(known.await?)
}

fn purged() -> ApiError {
    ApiError::new(ErrorCode::Conflict)
        .say("A request was reported under this request_id. It was counted, and its details have been purged since.")
        .param("request_id")
}

/// Waits for the sole right to report under this id.
async fn claim(state: &State, merchant: MerchantId, request_id: &str) -> Result<ReportClaim, ApiError> {
    for _ in 0..TURNS {
        if let Some(claim) = state.customer_accounts.claim_report(merchant, request_id) {
            return Ok(claim);
        }
        tokio::time::sleep(TURN).await;
    }
    Err(ApiError::new(ErrorCode::Overloaded).say("The same request is being reported."))
}

fn read_request_id(fields: &Fields) -> Result<String, ApiError> {
    let id = fields.required("request_id", fields.text("request_id", ID_LIMIT_BYTES)?)?;
    if id.is_empty() || id.len() > ID_LIMIT_BYTES {
        return Err(fields.wrong("request_id", &format!("must have 1 to {ID_LIMIT_BYTES} bytes")));
    }
    if id.parse::<RequestId>().is_ok() {
        return Err(fields.wrong("request_id", "must not be an id of this server's own"));
    }
    Ok(id)
}

fn read(state: &State, merchant: &Merchant, fields: &Fields, request_id: String) -> Result<Report, ApiError> {
    let named = |name: &str| fields.required(name, fields.text(name, ID_LIMIT_BYTES)?);
    let (customer, slug) = (named("customer_id")?, named("meter_slug")?);
    let customer = state.customers.find(merchant.id, &customer).ok_or_else(|| {
        let refusal = ApiError::new(ErrorCode::CustomerNotFound);
        refusal.field("customer_id", customer.as_str()).param("customer_id")
    })?;
    let meter = state.tariffs.meter_by_slug(merchant.id, &slug);
    let meter = meter.ok_or_else(|| ApiError::missing("meter_slug", "meter").field("meter_slug", slug.as_str()))?;
    if meter.rate_type == RateType::Percentage {
        let what = "charges a part of what a provider took, which a report does not say";
        return Err(fields.wrong("meter_slug", what));
    }
    Ok(Report {
        request_id,
        customer_id: customer.id,
        meter,
        metadata: read_metadata(fields)?,
        usage: read_usage(fields)?,
    })
}

fn read_usage(fields: &Fields) -> Result<Usage, ApiError> {
    let range = Range {
        least: 0,
        most: COUNT_MAX,
    };
    let count = |name: &str| Ok::<_, ApiError>(fields.integer(name, range)?.value().unwrap_or(0));
    let (input_characters, output_characters) = (count("input_characters")?, count("output_characters")?);
    // Milliseconds of as many seconds are still believed.
    let seconds = |name: &str| {
        let range = Range {
            least: 0,
            most: COUNT_MAX / 1000,
        };
        let seconds = fields.integer(name, range)?.value().unwrap_or(0);
        Ok::<_, ApiError>(seconds * 1000)
    };
    Ok(Usage {
        input_tokens: count("input_tokens")?,
        output_tokens: count("output_tokens")?,
        characters: input_characters.saturating_add(output_characters),
        output_characters,
        audio_ms: seconds("input_seconds")?,
        output_audio_ms: seconds("output_seconds")?,
        ..Usage::default()
    })
}

/// The pairs as the journal keeps them; empty where there are none.
fn read_metadata(fields: &Fields) -> Result<String, ApiError> {
    let Some(pairs) = fields.map("metadata")?.value() else {
        return Ok(String::new());
    };
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        let wrong = |error| fields.wrong("metadata", &format!("{error}"));
        let Value::String(value) = value else {
            return Err(fields.wrong("metadata", &format!("must have a string for {key:?}")));
        };
        metadata.insert(key, value).map_err(wrong)?;
    }
    Ok(metadata.to_json())
}

/// Charges it, and waits until Postgres has it.
async fn make(state: &State, merchant: &Merchant, report: Report) -> Result<(), ApiError> {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = RequestId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let now = state.now();
    let whose = Whose {
        customer_id: report.customer_id,
        merchant_id: merchant.id,
    };
    let quantity = metered_quantity(report.meter.tier_type, &report.usage);
    let open = OpenRequest {
        id,
        attempt_of: None,
        merchant_id: merchant.id,
        wallet_id: merchant.default_wallet_id,
        spend_key_id: None,
        admission: admission_at(now),
        admitted_at_ms: now.wall_ms,
        hold: Money::ZERO,
        price_version: 0,
        provider_key_type: ProviderKeyType::Unmanaged,
        streaming: false,
        simulated: false,
        input_estimate: Money::ZERO,
        output_nanos_per_million: 0,
        provider: "reported".to_owned(),
        model: None,
        endpoint: "POST /v1/requests".to_owned(),
        metadata: report.metadata,
        metered: Some(Metered {
            meter_id: report.meter.id,
            customer_id: Some(report.customer_id),
            caller_id: report.request_id,
            forecast: None,
        }),
    };
    let settlement = Settlement {
        id,
        outcome: Outcome::Completed,
        usage_source: UsageSource::Reported,
        http_status: 201,
        usage: report.usage,
        cost: Money::ZERO,
        input_cost: Money::ZERO,
        output_cost: Money::ZERO,
        finished_at_ms: now.wall_ms,
        first_token_ms: None,
        response_id: String::new(),
        charge: None,
    };
    let used = Used {
        quantity,
        provider_cost: Money::ZERO,
    };
    let reported = Reported {
        open,
        settlement,
        meter: report.meter,
        used,
    };
    state.customer_accounts.report(whose, reported).await?;
    Ok(())
}
