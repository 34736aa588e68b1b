//! `/v1/payment_methods`: the merchant's own cards, with which he funds his wallets; his customers' are put on file in
//! checkouts. A live card goes from his browser to the processor: a setup is begun here, finished there, and shown here. A
//! test merchant gives a test card in the body. No card number is stored or logged.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{Datelike as _, Utc};
use serde_json::{Value, json};

use crate::domain::ids::{MerchantId, Mode, PaymentMethodId};
use crate::domain::payment::ProcessorKind;
use crate::domain::secret::Secret;
use crate::engine::payments::{CardInput, Desk, NewPayer, PaymentTrouble, SavedCard, SetupProof, SetupState};
use crate::engine::random;
use crate::storage::StorageError;
use crate::storage::payments::methods;
use crate::storage::payments::{self, MethodRow};

use super::auth::SecretKeyAuth;
use super::checkout::funding::own_cards;
use super::error::{ApiError, ErrorCode};
use super::fields::{Change, Fields, Range};
use super::json_body::JsonBody;
use super::state::AppState;
use super::time::iso_millis;
use super::turns::to_the_end;

type State = web::Data<AppState>;

/// POST: begins to put a live card on file. The answer is for the processor's script in the merchant's browser.
pub async fn begin(auth: SecretKeyAuth, state: State) -> Result<HttpResponse, ApiError> {
    let merchant = auth.merchant_id();
    let payer = payer(&state, merchant).await?;
    let setup = desk(&state, merchant)?
        .ask(|processor| processor.begin_setup(payer))
        .await;
    let setup = setup.map_err(trouble)?;
    Ok(HttpResponse::Created().json(json!({
        "setup_id": setup.reference,
        "client_secret": setup.client_secret.expose(),
        "publishable_key": state.checkout.options.stripe_publishable_key,
    })))
}

/// POST `{setup_id}`, or of a test merchant `{card: {number, exp_month, exp_year, cvc}}`.
pub async fn create(auth: SecretKeyAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let merchant = auth.merchant_id();
    let proof = read_proof(&body, merchant.mode())?;
    let payer = payer(&state, merchant).await?;
    let finished = desk(&state, merchant)?.ask(move |processor| processor.finish_setup(payer, proof));
    let saved = match finished.await.map_err(trouble)? {
        SetupState::Done(saved) => saved,
        SetupState::Open => {
            let message = "The card is not on file at the processor yet.";
            return Err(ApiError::new(ErrorCode::Conflict).say(message).param("setup_id"));
        }
        SetupState::Declined(decline) => {
            let refused = ApiError::new(ErrorCode::PaymentDeclined).say(decline.message);
            return Err(refused.field("decline_code", decline.code));
        }
    };
    let row = new_row(&state, merchant, saved)?;
    let kept = state
        .database
        .run(move |connection| methods::keep(connection, &row))
        .await?;
    Ok(HttpResponse::Created().json(show(&kept)))
}

/// GET of the list, newest first: all of them.
pub async fn list(auth: SecretKeyAuth, state: State) -> Result<HttpResponse, ApiError> {
    let holder = own_cards(auth.merchant_id());
    let rows = state
        .database
        .run(move |connection| methods::list(connection, holder))
        .await?;
    let shown: Vec<Value> = rows.iter().map(show).collect();
    Ok(HttpResponse::Ok().json(json!({ "data": shown, "has_more": false, "next_cursor": null })))
}

/// DELETE: takes it off file, here and at the processor.
pub async fn delete(auth: SecretKeyAuth, state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::missing("payment_method_id", "payment method");
    let text = request.match_info().get("id").unwrap_or("");
    let id: PaymentMethodId = text.parse().map_err(|_| unknown())?;
    let holder = own_cards(auth.merchant_id());
    to_the_end(async move {
        let found = state
            .database
            .run(move |connection| methods::find(connection, holder, id));
        let row = found.await.map_err(|error| match error {
            StorageError::NotFound => unknown(),
            other => other.into(),
        })?;
        if let Some(desk) = state.checkout.payments.desk_of(row.processor) {
            let forgotten = desk.ask(move |processor| processor.forget_card(row.reference));
            match forgotten.await {
                // It is not on file there any more.
                Ok(()) | Err(PaymentTrouble::Refused(_)) => {}
                Err(error @ PaymentTrouble::Away(_)) => return Err(trouble(error)),
            }
        }
        let now_ms = state.now().wall_ms;
        let gone = state
            .database
            .run(move |connection| methods::forget(connection, id, now_ms));
        Ok(gone.await?)
    })
    .await?;
    Ok(HttpResponse::Ok().json(json!({ "payment_method_id": id, "deleted": true })))
}

fn read_proof(body: &JsonBody, mode: Mode) -> Result<SetupProof, ApiError> {
    let fields = Fields::of_body(&body.0, &["setup_id", "card"])?;
    match mode {
        Mode::Live => {
            let setup = fields.required("setup_id", fields.text("setup_id", 255)?)?;
            Ok(SetupProof::Reference(setup))
        }
        Mode::Test => {
            let known = ["number", "exp_month", "exp_year", "cvc"];
            let Change::Set(card) = fields.object("card", &known)? else {
                return Err(ApiError::invalid("card", "is required: a test card"));
            };
            read_test_card(&card)
        }
    }
}

fn read_test_card(card: &Fields) -> Result<SetupProof, ApiError> {
    let text = |name| card.required(name, card.text(name, 32)?).map(Secret::new);
    let whole = |name, least, most| {
        let number = card.required(name, card.integer(name, Range { least, most })?)?;
        Ok::<u32, ApiError>(u32::try_from(number).unwrap_or(u32::MAX))
    };
    let now = Utc::now();
    Ok(SetupProof::TestCard(CardInput {
        number: text("number")?,
        check_digits: text("cvc")?,
        expiry_month: whole("exp_month", 1, 12)?,
        expiry_year: whole("exp_year", 2000, 2200)?,
        month_now: now.month(),
        year_now: u32::try_from(now.year()).unwrap_or_default(),
    }))
}

fn new_row(state: &State, merchant_id: MerchantId, saved: SavedCard) -> Result<MethodRow, ApiError> {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let id = PaymentMethodId::compose_in_order(merchant_id.mode(), state.clock.wall_us(), random);
    Ok(MethodRow {
        id,
        merchant_id,
        customer_id: own_cards(merchant_id).customer_id,
        processor: ProcessorKind::of(merchant_id.mode()),
        reference: saved.reference,
        card: saved.card,
        created_at_ms: id.created_ms(),
    })
}

/// How the processor knows the merchant; he is made known to it where he is not.
async fn payer(state: &State, merchant: MerchantId) -> Result<String, ApiError> {
    let processor = ProcessorKind::of(merchant.mode());
    let customer_id = own_cards(merchant).customer_id;
    let known = state
        .database
        .run(move |connection| payments::find_payer(connection, customer_id, processor));
    if let Some(payer) = known.await? {
        return Ok(payer);
    }
    let new = NewPayer {
        customer_id,
        name: Some(merchant.to_string()),
        email: None,
        phone: None,
    };
    let made = desk(state, merchant)?.ask(|processor| processor.open_payer(new)).await;
    let made = made.map_err(trouble)?;
    let kept = state
        .database
        .run(move |connection| payments::keep_payer(connection, merchant, customer_id, (processor, &made)));
    Ok(kept.await?)
}

fn desk(state: &State, merchant: MerchantId) -> Result<&Desk, ApiError> {
    let desk = state.checkout.payments.desk(merchant.mode());
    desk.ok_or_else(|| ApiError::new(ErrorCode::NotSupported).say("Payments are not set up on this server."))
}

fn trouble(error: PaymentTrouble) -> ApiError {
    tracing::error!(%error, "a payment method cannot be changed");
    match error {
        PaymentTrouble::Away(_) => ApiError::new(ErrorCode::PaymentsUnavailable),
        PaymentTrouble::Refused(_) => ApiError::invalid("setup_id", "is not known to the payment processor"),
    }
}

fn show(row: &MethodRow) -> Value {
    json!({
        "payment_method_id": row.id,
        "type": "card",
        "card": {
            "brand": row.card.brand,
            "last4": row.card.last4,
            "exp_month": row.card.expiry_month,
            "exp_year": row.card.expiry_year,
        },
        "created_at": iso_millis(row.created_at_ms),
    })
}
