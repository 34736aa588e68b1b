//! `/v1/meters`: the prices of what a merchant's customers use. A meter is named by its id or its slug. What a meter
//! counts, and what it is named by in tokens, never changes; its tiers may, for the usage that comes after.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::domain::ids::MeterId;
use crate::domain::meter::{Meter, MeterName, RateType, Tier, TierType, Tiers};
use crate::domain::slug::{is_slug, slug_of};
use crate::engine::random;
use crate::storage::StorageError;
use crate::storage::meters::{self as rows, MeterChange, MeterRow};

use super::auth::SecretKeyAuth;
use super::error::{ApiError, ErrorCode};
use super::fields::Fields;
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::tariffs;
use super::time::iso_millis;
use super::vocabulary::{self, BASE_COST_PAYER, TOKEN_BASIS};

type State = web::Data<AppState>;

/// The fields that are set once.
const AT_CREATION: [&str; 3] = ["meter_slug", "rate_type", "tier_type"];
const CHANGEABLE: [&str; 2] = ["name", "tiers"];

/// The body of a creation.
struct Creation {
    name: String,
    /// `None`: one is made from the name.
    slug: Option<String>,
    rate_type: RateType,
    tier_type: TierType,
    tiers: Tiers,
}

/// POST `{name, rate_type, tier_type, tiers, meter_slug?}`.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let creation = Creation::read(&body.0)?;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let merchant = &auth.0.merchant;
    let id = MeterId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let is_given = creation.slug.is_some();
    let row = MeterRow {
        merchant_id: merchant.id,
        meter: creation.into_meter(id),
        created_at_ms: id.created_ms(),
    };
    let done = tariffs::change(&state, merchant.id, move |connection, tariffs| {
        let row = if is_given {
            rows::create(connection, &row).map(|()| row)?
        } else {
            rows::create_with_free_slug(connection, row)?
        };
        tariffs.put_meter(row.merchant_id, row.meter.clone());
        Ok(row)
    });
    let row = done.await?.map_err(|error| match error {
        StorageError::Conflict { .. } => ApiError::new(ErrorCode::Conflict)
            .say("`meter_slug` is the slug of another meter.")
            .param("meter_slug"),
        other => ApiError::from(other),
    })?;
    Ok(HttpResponse::Created().json(show(&row)))
}

/// GET of the list, newest first; `search` finds by name, slug and id.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, search, merchant_id) = (read_page(&query)?, query.search()?, auth.merchant_id());
    let found = state
        .database
        .run(move |connection| rows::search(connection, merchant_id, &search, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, show)))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (name, merchant_id) = (meter_name(&request), auth.merchant_id());
    let work = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, &name));
    Ok(HttpResponse::Ok().json(show(&work.await.map_err(unknown_meter)?)))
}

/// PATCH `{name?, tiers?}`.
pub async fn update(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (name, merchant_id) = (meter_name(&request), auth.merchant_id());
    let change = read_change(&body.0)?;
    let done = tariffs::change(&state, merchant_id, move |connection, tariffs| {
        let row = rows::update(connection, merchant_id, &name, change)?;
        tariffs.put_meter(merchant_id, row.meter.clone());
        Ok(row)
    });
    Ok(HttpResponse::Ok().json(show(&done.await?.map_err(unknown_meter)?)))
}

/// DELETE.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (name, merchant_id) = (meter_name(&request), auth.merchant_id());
    let done = tariffs::change(&state, merchant_id, move |connection, tariffs| {
        let id = rows::delete(connection, merchant_id, &name)?;
        tariffs.remove_meter(merchant_id, id);
        Ok(id)
    });
    let id = done.await?.map_err(unknown_meter)?;
    Ok(HttpResponse::Ok().json(json!({ "id": id, "deleted": true })))
}

impl Creation {
    fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = read_fields(body)?;
        let what = "must have 1 to 100 letters, digits, hyphens, underscores or dots, and not be the id of a meter";
        let slug = fields.parsed("meter_slug", what, |text| {
            (is_slug(text) && text.parse::<MeterId>().is_err()).then(|| text.to_owned())
        })?;
        let rate_type = fields.word("rate_type", RateType::WORDS, RateType::from_name)?;
        let tier_type = fields.word("tier_type", TierType::WORDS, TierType::from_name)?;
        Ok(Self {
            name: fields.required("name", fields.text("name", 255)?)?,
            slug: slug.value(),
            rate_type: fields.required("rate_type", rate_type)?,
            tier_type: fields.required("tier_type", tier_type)?,
            tiers: read_tiers(&fields)?.ok_or_else(|| ApiError::invalid("tiers", "is required"))?,
        })
    }

    fn into_meter(self, id: MeterId) -> Meter {
        Meter {
            id,
            slug: self.slug.unwrap_or_else(|| slug_of(&self.name, "meter")),
            name: self.name,
            rate_type: self.rate_type,
            tier_type: self.tier_type,
            tiers: self.tiers,
        }
    }
}

fn read_change(body: &Map<String, Value>) -> Result<MeterChange, ApiError> {
    let fields = read_fields(body)?;
    fields.refuse_change(&AT_CREATION)?;
    Ok(MeterChange {
        name: fields.not_null("name", fields.text("name", 255)?)?,
        tiers: read_tiers(&fields)?,
    })
}

fn read_fields(body: &Map<String, Value>) -> Result<Fields<'_>, ApiError> {
    let known = [&AT_CREATION[..], &CHANGEABLE[..], &vocabulary::METER_FIELDS[..]].concat();
    let fields = Fields::of_body(body, &known)?;
    vocabulary::check_meter(&fields)?;
    Ok(fields)
}

fn read_tiers(fields: &Fields) -> Result<Option<Tiers>, ApiError> {
    let tiers = fields.objects("tiers", &["start", "rate"], |tier| {
        Ok(Tier {
            start: tier.required("start", tier.whole("start")?)?,
            rate: tier.required("rate", tier.amount_or_zero("rate")?)?,
        })
    })?;
    let tiers = fields.not_null("tiers", tiers)?.map(Tiers::new).transpose();
    tiers.map_err(|error| ApiError::invalid(&error.param(), error))
}

fn unknown_meter(error: StorageError) -> ApiError {
    match error {
        StorageError::NotFound => ApiError::missing("meter_id", "meter"),
        other => ApiError::from(other),
    }
}

fn meter_name(request: &HttpRequest) -> MeterName {
    MeterName::from(request.match_info().get("id").unwrap_or(""))
}

fn show(row: &MeterRow) -> Value {
    let meter = &row.meter;
    let tier = |tier: &Tier| json!({ "start": tier.start, "rate": tier.rate, "type": meter.tier_type });
    json!({
        "meter_id": meter.id,
        "product_id": meter.id,
        "meter_slug": meter.slug,
        "name": meter.name,
        "rate_type": meter.rate_type,
        "token_basis": TOKEN_BASIS,
        "base_cost_payer": BASE_COST_PAYER,
        "service_charge_payer": BASE_COST_PAYER,
        "tiers": meter.tiers.as_slice().iter().map(tier).collect::<Vec<_>>(),
        "created_at": iso_millis(row.created_at_ms),
    })
}
