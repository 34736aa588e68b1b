//! `/v1/checkout_sessions`: lets a customer buy a plan or a bundle of credit on the hosted page. The answer's token holds
//! the secret that opens the page; it is shown once, and only its hash is stored. What is bought, and what it costs, is
//! decided here: a plan that is edited later changes nothing.

pub mod body;

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::Url;

use crate::domain::checkout::{Basket, Checkout, Opening, PhoneStep, PlanMove, Standing, Step, Who};
use crate::domain::ids::{CheckoutSessionId, CustomerId, Mode, PlanId};
use crate::domain::money::Money;
use crate::domain::payment::ProcessorKind;
use crate::domain::plan::Plan;
use crate::domain::secret::Secret;
use crate::domain::subscription::Subscription;
use crate::engine::customer_accounts::Whose;
use crate::engine::random;
use crate::storage::checkouts::{self as rows, CheckoutRow};
use crate::storage::{StorageError, customers, payments};

use super::auth::SecretKeyAuth;
use super::error::{ApiError, ErrorCode};
use super::json_body::JsonBody;
use super::own_url::own_url;
use super::page::{envelope, read_page};
use super::query::Query;
use super::state::AppState;
use super::time::{iso_millis, iso_seconds};
use body::{Wanted, WantedSession};

type State = web::Data<AppState>;

/// Random bytes of a secret: 55 characters.
const SECRET_BYTES: usize = 41;

/// POST: see [`WantedSession`].
pub async fn create(
    auth: SecretKeyAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted = WantedSession::read(&body.0)?;
    let opening = open(&auth, &state, &wanted).await?;
    let mode = auth.0.merchant.mode();
    if !opening.basket.is_free() && state.checkout.payments.desk(mode).is_none() {
        let message = "Payments are not set up on this server: its operator must set STRIPE_SECRET_KEY.";
        return Err(ApiError::new(ErrorCode::NotSupported).say(message));
    }
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = CheckoutSessionId::compose_in_order(mode, state.clock.wall_us(), random);
    let secret = mint_secret(mode)?;
    let row = CheckoutRow {
        id,
        merchant_id: auth.merchant_id(),
        secret_hash: state.keyring.hash(secret.expose()),
        origin_url: wanted.origin_url,
        checkout: Checkout::open(opening, state.now().wall_s()),
        created_at_ms: id.created_ms(),
    };
    let mut shown = show(&row, state.now().wall_s());
    let base = base_url(&state, &request)?;
    shown["checkout_session_token"] = token(&secret, &base).into();
    state
        .database
        .run(move |connection| rows::create(connection, &row))
        .await?;
    Ok(HttpResponse::Created().json(shown))
}

/// GET of the list, newest first.
pub async fn list(auth: SecretKeyAuth, state: State, query: Query) -> Result<HttpResponse, ApiError> {
    let (page, merchant_id, now_s) = (read_page(&query)?, auth.merchant_id(), state.now().wall_s());
    let found = state
        .database
        .run(move |connection| rows::list(connection, merchant_id, page))
        .await?;
    Ok(HttpResponse::Ok().json(envelope(&found, |row| show(row, now_s))))
}

/// GET of one.
pub async fn retrieve(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("checkout_session_id", "checkout session");
    let text = request.match_info().get("id").unwrap_or("");
    let id: CheckoutSessionId = text.parse().map_err(|_| unknown())?;
    let merchant_id = auth.merchant_id();
    let found = state
        .database
        .run(move |connection| rows::find(connection, merchant_id, id))
        .await;
    match found {
        Ok(row) => Ok(HttpResponse::Ok().json(show(&row, state.now().wall_s()))),
        Err(StorageError::NotFound) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

/// Works out what is bought, by whom, and what is due now.
async fn open(auth: &SecretKeyAuth, state: &State, wanted: &WantedSession) -> Result<Opening, ApiError> {
    let (merchant, mode) = (auth.merchant_id(), auth.0.merchant.mode());
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let known = match &wanted.customer {
        None => None,
        Some(name) => {
            let known = state.customers.find(merchant, name);
            Some(known.ok_or_else(|| ApiError::new(ErrorCode::CustomerNotFound).param("customer_id"))?)
        }
    };
    let new_id = || CustomerId::compose_in_order(mode, state.clock.wall_us(), random);
    let customer_id = known.as_ref().map_or_else(new_id, |known| known.id);
    let whose = Whose {
        customer_id,
        merchant_id: merchant,
    };
    let (basket, due) = fill(state, whose, &wanted.wanted).await?;
    let processor = ProcessorKind::of(mode);
    let found = state.database.run(move |connection| {
        let phone = match known {
            None => None,
            Some(known) => {
                customers::find(connection, merchant, &known.id.to_string())?
                    .fields
                    .phone
            }
        };
        Ok((phone, payments::latest_method(connection, customer_id, processor)?))
    });
    let (known_phone, card) = found.await?;
    Ok(Opening {
        basket,
        due,
        customer_id,
        who: if wanted.customer.is_some() {
            Who::Known
        } else {
            Who::New
        },
        known_phone,
        phone_step: match mode {
            Mode::Live if state.checkout.codes.is_none() => PhoneStep::Off,
            Mode::Live | Mode::Test => PhoneStep::On,
        },
        card: card.map(|card| card.id),
    })
}

/// What is bought, at the terms of now, and what of it is due now.
async fn fill(state: &State, whose: Whose, wanted: &Wanted) -> Result<(Basket, Money), ApiError> {
    let account = state.customer_accounts.read(whose).await;
    let account = account.map_err(|_| ApiError::new(ErrorCode::Stopping))?;
    let current = account.active_subscription();
    match wanted {
        Wanted::Plan(plan_id) => offer(state, whose, *plan_id, current),
        Wanted::FirstPlan if current.is_some() => {
            Err(ApiError::new(ErrorCode::Conflict).say("The customer is one already."))
        }
        Wanted::FirstPlan => offer(state, whose, Plan::free_id(whose.merchant_id), current),
        Wanted::Bundle(_) | Wanted::AnyBundle => bundle(state, *wanted, current),
    }
}

fn offer(
    state: &State,
    whose: Whose,
    plan_id: PlanId,
    current: Option<&Subscription>,
) -> Result<(Basket, Money), ApiError> {
    let plan = state.tariffs.plan(plan_id);
    let plan = plan.filter(|plan| plan.merchant_id == whose.merchant_id && !plan.is_deleted);
    let offer = plan.ok_or_else(|| ApiError::missing("plan_id", "plan"))?.plan.offer();
    let moved = PlanMove::of(current, &offer);
    let has_it = || ApiError::new(ErrorCode::Conflict).say("The customer is on this plan already.");
    let due = moved.ok_or_else(has_it)?.due(&offer);
    Ok((Basket::Subscription { offer }, due))
}

fn bundle(state: &State, wanted: Wanted, current: Option<&Subscription>) -> Result<(Basket, Money), ApiError> {
    let plan = current.and_then(|current| state.tariffs.plan(current.terms.plan_id));
    let found = plan.as_ref().and_then(|plan| match wanted {
        Wanted::Bundle(id) => plan.plan.bundle(id),
        Wanted::AnyBundle => {
            let chosen = current.and_then(|current| current.auto_top_up_bundle_id);
            let chosen = chosen.and_then(|id| plan.plan.bundle(id));
            chosen.or_else(|| plan.plan.bundles.first())
        }
        Wanted::Plan(_) | Wanted::FirstPlan => None,
    });
    let (Some(plan), Some(bundle)) = (&plan, found) else {
        return Err(match wanted {
            Wanted::AnyBundle => ApiError::new(ErrorCode::Conflict).say("The customer's plan has no credit bundle."),
            Wanted::Bundle(_) | Wanted::Plan(_) | Wanted::FirstPlan => {
                let what = "is not a credit bundle of the plan that the customer is on";
                ApiError::invalid("credit_bundle_id", what)
            }
        });
    };
    let basket = Basket::CreditBundle {
        plan_id: plan.plan.id(),
        credit_bundle_id: bundle.id,
        name: bundle.name.clone(),
        cost: bundle.cost,
        credit_amount: bundle.credit_amount,
    };
    Ok((basket, bundle.cost))
}

fn mint_secret(mode: Mode) -> Result<Secret<String>, ApiError> {
    let bytes = random::bytes::<SECRET_BYTES>();
    let bytes = bytes.map_err(|error| ApiError::internal("making a secret", &error))?;
    let prefix = match mode {
        Mode::Live => "css_",
        Mode::Test => "css_test_",
    };
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// As `@lavapayments/checkout` decodes it: base64 of `{"secret": ..., "base": ...}`; the base ends in a slash.
fn token(secret: &Secret<String>, base: &str) -> String {
    STANDARD.encode(format!(
        r#"{{"secret":{},"base":{}}}"#,
        json!(secret.expose()),
        json!(base)
    ))
}

/// Where the customer's browser finds this server.
fn base_url(state: &AppState, request: &HttpRequest) -> Result<String, ApiError> {
    let bad = |_| ApiError::new(ErrorCode::InvalidRequest).say("The Host of the request is no address.");
    let mut base = Url::parse(&own_url(state, request)).map_err(bad)?;
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base.to_string())
}

fn show(row: &CheckoutRow, now_s: i64) -> Value {
    let checkout = &row.checkout;
    let mut shown = json!({
        "checkout_session_id": row.id,
        "checkout_mode": checkout.basket.mode().name(),
        "origin_url": row.origin_url,
        "status": match checkout.standing(now_s) {
            Standing::Open => "open",
            Standing::Done => "completed",
            Standing::Cancelled => "cancelled",
            Standing::Expired => "expired",
        },
        "expires_at": iso_seconds(checkout.expires_at_s),
        "created_at": iso_millis(row.created_at_ms),
    });
    match &checkout.basket {
        Basket::Subscription { offer } => {
            shown["plan_id"] = json!(offer.terms.plan_id);
            shown["subscription_config_id"] = json!(offer.terms.plan_id);
        }
        Basket::CreditBundle { credit_bundle_id, .. } => shown["credit_bundle_id"] = json!(credit_bundle_id),
    }
    if let Step::Done { at_s, payment } = &checkout.step {
        shown["customer_id"] = json!(checkout.customer_id);
        shown["connection_id"] = json!(checkout.customer_id);
        shown["payment_id"] = json!(payment);
        shown["completed_at"] = iso_seconds(*at_s).into();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_decodes_as_the_package_decodes_it() {
        let secret = mint_secret(Mode::Test).unwrap();
        assert_eq!(secret.expose().len(), "css_test_".len() + 55);
        let decoded = STANDARD.decode(token(&secret, "https://pay.example.com/")).unwrap();
        let text = format!(
            r#"{{"secret":"{}","base":"https://pay.example.com/"}}"#,
            secret.expose()
        );
        assert_eq!(decoded, text.as_bytes());
    }
}
