//! `/v1/wallet`: the wallet that pays where a call names none, with its balance as it is now, and money that is put into
//! it with a card of the merchant's. A payment that is not known to be paid never counts as money in the wallet.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::domain::ids::{PaymentId, PaymentMethodId};
use crate::domain::money::{Money, NANOS_PER_DOLLAR};
use crate::domain::payment::{Cents, PaymentStatus};
use crate::storage::payments::PaymentRow;

use super::auth::SecretKeyAuth;
use super::checkout::funding::{self, WantedFunding, own_cards};
use super::error::{ApiError, ErrorCode};
use super::fields::Fields;
use super::json_body::JsonBody;
use super::state::AppState;

const LEAST_FUNDING: Money = Money::from_nanos(10 * NANOS_PER_DOLLAR);
const MOST_FUNDING: Money = Money::from_nanos(10_000 * NANOS_PER_DOLLAR);

/// GET.
pub async fn retrieve(auth: SecretKeyAuth, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let wallet_id = auth.0.merchant.default_wallet_id;
    let account = state
        .accounts
        .read(wallet_id)
        .await?
        .ok_or_else(|| ApiError::missing("wallet_id", "wallet"))?;
    Ok(HttpResponse::Ok().json(json!({
        "wallet_id": wallet_id,
        "balance": account.balance,
        "reserved": account.held,
        "funding": account.funding,
    })))
}

/// POST `{payment_method_id, amount}`: 200 with the balance once the money is in the wallet, 202 where that will be known
/// later, 402 where the card is declined.
pub async fn fund(auth: SecretKeyAuth, state: web::Data<AppState>, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let payment_id = funding::new_payment_id(&state, auth.merchant_id())?;
    fund_once(auth, state, body, payment_id).await
}

/// As [`fund`], by the payment of this id: however often it is asked for, it is made once.
pub async fn fund_once(
    auth: SecretKeyAuth,
    state: web::Data<AppState>,
    body: JsonBody,
    payment_id: PaymentId,
) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["payment_method_id", "amount"])?;
    let what = "must be the id of a payment method";
    let method = fields.parsed("payment_method_id", what, |text| text.parse::<PaymentMethodId>().ok())?;
    let method_id = fields.required("payment_method_id", method)?;
    let amount = fields.required("amount", fields.amount("amount")?)?;
    if !(LEAST_FUNDING..=MOST_FUNDING).contains(&amount) || Cents::of(amount).money() != amount {
        return Err(ApiError::invalid(
            "amount",
            "must be whole cents from \"10.00\" to \"10000.00\"",
        ));
    }
    let wanted = WantedFunding {
        payment_id,
        holder: own_cards(auth.merchant_id()),
        wallet_id: auth.0.merchant.default_wallet_id,
        method_id,
        amount,
    };
    let payment = funding::fund(&state, wanted).await?;
    match (payment.status, payment.applied_at_ms) {
        (PaymentStatus::Paid, Some(_)) => {
            let account = state.accounts.read(wanted.wallet_id).await?;
            let balance = account.map_or(Money::ZERO, |account| account.balance);
            Ok(HttpResponse::Ok().json(json!({
                "status": "completed", "payment_id": payment.id, "balance": balance,
            })))
        }
        (PaymentStatus::Declined | PaymentStatus::Refunded, _) => Err(declined(payment)),
        (PaymentStatus::Paid | PaymentStatus::Pending | PaymentStatus::ActionRequired, _) => {
            Ok(HttpResponse::Accepted().json(json!({ "status": "processing", "payment_id": payment.id })))
        }
    }
}

fn declined(payment: PaymentRow) -> ApiError {
    let error = ApiError::new(ErrorCode::PaymentDeclined)
        .param("payment_method_id")
        .field("payment_id", payment.id.to_string());
    match payment.decline {
        Some(decline) => error.say(decline.message).field("decline_code", decline.code),
        None => error,
    }
}
