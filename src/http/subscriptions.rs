//! `/v1/subscriptions`: which customers are on which plan. A subscription to a free plan is begun and changed here; a plan
//! with a price is begun by checkout only. Every change is made by the shard that owns the customer, and is in Postgres
//! before it is answered. Whatever is not the caller's is not there.

mod body;
mod change;
pub mod view;

use std::sync::{Arc, OnceLock};

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::domain::credit::Credit;
use crate::domain::ids::{CustomerId, MerchantId, SubscriptionId};
use crate::domain::subscription::{Status, Subscription};
use crate::engine::customer_accounts::{ChangeError, Whose};
use crate::engine::random;
use crate::storage::page::Page;
use crate::storage::subscriptions::{self as rows, SubscriptionFilter, SubscriptionRow};
use crate::storage::{StorageError, customers};

use self::body::{Creation, Edit};
use self::change::{Subscribed, begun_or_changed, edited};
use super::auth::SecretKeyAuth;
use super::customers::show_contact;
use super::error::{ApiError, ErrorCode};
use super::json_body::JsonBody;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;

pub use self::change::{change, end_for_good};

type State = web::Data<AppState>;

/// POST `{customer_id, plan_id}`: 201 where the customer begins the plan, at once, also in the place of the one on which
/// customers begin; 200 where his subscription to another goes over to it, or he stays on it after all; 409 where
/// nothing would change.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let creation = Creation::read(&body.0)?;
    let merchant = &auth.0.merchant;
    let plan = creation.plan_of(&state, merchant.id)?;
    let whose = customer(&state, merchant.id, creation.customer_id).await?;
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = SubscriptionId::compose_in_order(merchant.mode(), state.clock.wall_us(), random);
    let (held, offer) = (state.customers.clone(), plan.plan.offer());
    let subscribed = Arc::new(OnceLock::new());
    let told = subscribed.clone();
    let changed = change(&state, whose, move |account, now_s| {
        // He is taken out of what is held before his subscription is ended, so that none is begun after that.
        if held.by_id(whose.customer_id).is_none() {
            return Err(ChangeError::NoCustomer);
        }
        let (turn, subscribed) = begun_or_changed(account, id, offer, now_s)?;
        told.get_or_init(|| subscribed);
        Ok(turn)
    });
    let account = changed.await?;
    let subscription = account.active_subscription();
    let shown = subscription.map(|subscription| view::show(subscription, account.credit.credit));
    let answer = json!({ "subscription": shown });
    Ok(match subscribed.get() {
        Some(Subscribed::Begun) => HttpResponse::Created().json(answer),
        Some(Subscribed::Changed) | None => HttpResponse::Ok().json(answer),
    })
}

/// GET of the list, newest first: the active ones, or as `status` says; `customer_id` names one customer.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id) = (read_page(&query)?, auth.merchant_id());
    let filter = SubscriptionFilter {
        status: body::read_status(&query)?,
        customer_id: match query.text("customer_id")? {
            None => None,
            Some(name) => Some(known_customer(&state, merchant_id, name)?),
        },
    };
    let work = state.database.run(move |connection| {
        let found = rows::list(connection, merchant_id, filter, page)?;
        let ids: Vec<CustomerId> = found.rows.iter().map(|row| row.customer_id).collect();
        Ok((found, customers::find_all(connection, merchant_id, &ids)?))
    });
    let (found, customers) = work.await?;
    let current = try_join_all(found.rows.iter().map(|row| current(&state, row))).await?;
    let is_asked = |subscription: &Subscription| filter.status.is_none_or(|status| status == subscription.status());
    let listed = found.rows.iter().zip(current);
    let found = Page {
        rows: listed.filter(|(_, (subscription, _))| is_asked(subscription)).collect(),
        next: found.next,
    };
    let answer = envelope(&found, |(row, (subscription, credit))| {
        let contact = customers.get(&row.customer_id).map(|customer| &customer.fields);
        let contact = show_contact(contact.unwrap_or(&Default::default()));
        view::show_in_list(subscription, *credit, row.customer_id, contact)
    });
    Ok(HttpResponse::Ok().json(answer))
}

/// PATCH `{auto_top_up_bundle_id?, pending_change?}`: which bundle is bought by itself, null for none; a
/// `pending_change` of null takes back what was to happen at the end of the cycle.
pub async fn update(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let edit = Edit::read(&body.0)?;
    let (whose, id) = load(&auth, &state, &request).await?;
    let tariffs = state.tariffs.clone();
    let changed = change(&state, whose, move |account, _| {
        let subscription = account
            .active_subscription()
            .filter(|subscription| subscription.id == id);
        edited(subscription, &edit, &tariffs)
    });
    changed.await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// DELETE: it ends with its cycle.
pub async fn cancel(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let (whose, id) = load(&auth, &state, &request).await?;
    let changed = change(&state, whose, move |account, _| {
        let subscription = account
            .active_subscription()
            .filter(|subscription| subscription.id == id);
        Ok(change::still_active(subscription)?.cancel()?)
    });
    changed.await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// Every field of the subscription that a customer has now; null where he has none.
pub async fn show_active(state: &State, whose: Whose) -> Result<Value, ApiError> {
    let account = state.customer_accounts.read(whose).await?;
    let active = account.active_subscription();
    Ok(active.map_or(Value::Null, |subscription| {
        view::show(subscription, account.credit.credit)
    }))
}

/// A subscription as it is now, which may be later than its row, and the credit that goes with it.
async fn current(state: &State, row: &SubscriptionRow) -> Result<(Subscription, Credit), ApiError> {
    if row.subscription.status() == Status::Cancelled {
        return Ok((row.subscription.clone(), Credit::ZERO));
    }
    let whose = Whose {
        customer_id: row.customer_id,
        merchant_id: row.merchant_id,
    };
    let account = state.customer_accounts.read(whose).await?;
    let held = account.subscription.filter(|held| held.id == row.subscription.id);
    Ok(match held {
        Some(subscription) => (subscription, account.credit.credit),
        None => (row.subscription.clone(), Credit::ZERO),
    })
}

/// The merchant's customer of this name. The database is asked, so that nothing is begun while it is away.
async fn customer(state: &State, merchant_id: MerchantId, name: String) -> Result<Whose, ApiError> {
    let found = state
        .database
        .run(move |connection| customers::find(connection, merchant_id, &name));
    let row = found.await.map_err(|error| match error {
        StorageError::NotFound => unknown_customer(),
        other => ApiError::from(other),
    })?;
    Ok(Whose {
        customer_id: row.id,
        merchant_id,
    })
}

fn known_customer(state: &AppState, merchant_id: MerchantId, name: &str) -> Result<CustomerId, ApiError> {
    let known = state.customers.find(merchant_id, name).map(|customer| customer.id);
    known.ok_or_else(unknown_customer)
}

fn unknown_customer() -> ApiError {
    ApiError::new(ErrorCode::CustomerNotFound).param("customer_id")
}

/// Whose subscription the path names.
async fn load(auth: &SecretKeyAuth, state: &State, request: &HttpRequest) -> Result<(Whose, SubscriptionId), ApiError> {
    let unknown = || ApiError::missing("subscription_id", "subscription");
    let text = request.match_info().get("id").unwrap_or("");
    let id: SubscriptionId = text.parse().map_err(|_| unknown())?;
    let merchant_id = auth.merchant_id();
    let found = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id));
    let row = found.await.map_err(|error| match error {
        StorageError::NotFound => unknown(),
        other => ApiError::from(other),
    })?;
    let whose = Whose {
        customer_id: row.customer_id,
        merchant_id,
    };
    Ok((whose, id))
}
