//! The customer's yes: stores the payment that it comes to, and asks for it. A payment stands in the database before the
//! processor hears of it, so that none is forgotten. It fails closed: nothing is given without its payment.

use actix_web::web::Data;

use crate::domain::checkout::{Basket, Checkout};
use crate::domain::ids::PaymentId;
use crate::domain::payment::{Cents, PaymentStatus, Purpose};
use crate::domain::plan::Plan;
use crate::domain::secret::Secret;
use crate::engine::customer_accounts::{ChangeError, Whose};
use crate::engine::payments::{Approval, Outcome};
use crate::engine::random;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::turns::to_the_end;
use crate::storage::StorageError;
use crate::storage::checkouts::{self, CheckoutRow};
use crate::storage::payments::{self, MethodRow, PaymentRow};

use super::settle::{give, make_customer, order, settle};

type State = Data<AppState>;

/// The customer's yes where nothing is due.
pub async fn take_free(state: &State, row: &CheckoutRow) -> Result<(), ApiError> {
    let (state, row) = (state.clone(), row.clone());
    to_the_end(async move {
        let purpose = purpose(&row.checkout);
        make_customer(&state, &row, &purpose).await?;
        match give(&state, whose(&row), purpose, None).await {
            Ok(()) => {}
            // He is on the plan on which customers begin because he is one now.
            Err(ChangeError::HasSubscription) if is_first_plan(&row) => {}
            Err(error) => return Err(error.into()),
        }
        let (id, now_s) = (row.id, state.now().wall_s());
        let done = state.database.run(move |connection| {
            checkouts::change(connection, id, |_, row| Ok(row.checkout.confirm_free(now_s).is_ok()))
        });
        done.await?;
        Ok(())
    })
    .await
}

/// The customer's yes to what is due: stores the payment and asks for it. `Ok(Err)` says why nothing was done.
pub async fn take(state: &State, row: &CheckoutRow) -> Result<Result<(), String>, ApiError> {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let mode = row.merchant_id.mode();
    let id = PaymentId::compose_in_order(mode, state.clock.wall_us(), random);
    let (session, now) = (row.id, state.now());
    let begun = state.database.run(move |connection| {
        checkouts::change(connection, session, |connection, row| {
            let card = match row.checkout.confirm(id, now.wall_s()) {
                Ok(card) => card,
                Err(refusal) => return Ok(Err(refusal.to_string())),
            };
            let method = payments::find_method(connection, card)?;
            let payer = payments::find_payer(connection, method.customer_id, method.processor)?;
            let payer = payer.ok_or(StorageError::NotFound)?;
            let payment = new_payment(row, method, payer, (id, now.wall_ms));
            payments::create(connection, &payment)?;
            Ok(Ok(()))
        })
    });
    match begun.await?.1 {
        Ok(()) => settle(state, id, Approval::Unknown).await.map(Ok),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// With which the payer's browser answers the bank, where a payment waits for that.
pub async fn client_secret(state: &State, id: PaymentId) -> Result<Option<Secret<String>>, ApiError> {
    let found = state.database.run(move |connection| {
        let payment = payments::find(connection, id)?;
        let method = payments::find_method(connection, payment.method_id)?;
        Ok((payment, method))
    });
    let (payment, method) = found.await?;
    let (PaymentStatus::ActionRequired, Some(reference), Some(desk)) = (
        payment.status,
        payment.reference.clone(),
        state.checkout.payments.desk_of(payment.processor),
    ) else {
        return Ok(None);
    };
    let order = order(&payment, method);
    let asked = desk.ask(move |processor| processor.find(reference, order, Approval::Unknown));
    Ok(match asked.await {
        Ok(Outcome::ActionRequired { client_secret, .. }) => Some(client_secret),
        Ok(Outcome::Paid { .. } | Outcome::Processing { .. } | Outcome::Declined { .. }) | Err(_) => None,
    })
}

/// What a checkout is for, as its payment remembers it.
fn purpose(checkout: &Checkout) -> Purpose {
    Purpose::Checkout {
        basket: checkout.basket.clone(),
        who: checkout.who,
        phone: checkout.phone.clone(),
    }
}

fn new_payment(row: &CheckoutRow, method: MethodRow, payer: String, (id, now_ms): (PaymentId, i64)) -> PaymentRow {
    let what = match &row.checkout.basket {
        Basket::Subscription { .. } => "Subscription",
        Basket::CreditBundle { .. } => "Credit",
    };
    PaymentRow {
        id,
        merchant_id: row.merchant_id,
        customer_id: row.checkout.customer_id,
        method_id: method.id,
        processor: method.processor,
        payer,
        amount: Cents::of(row.checkout.due),
        description: format!("{what}: {}", row.checkout.basket.name()),
        purpose: purpose(&row.checkout),
        session_id: Some(row.id),
        status: PaymentStatus::Pending,
        reference: None,
        decline: None,
        created_at_ms: now_ms,
        applied_at_ms: None,
    }
}

fn is_first_plan(row: &CheckoutRow) -> bool {
    match &row.checkout.basket {
        Basket::Subscription { offer } => offer.terms.plan_id == Plan::free_id(row.merchant_id),
        Basket::CreditBundle { .. } => false,
    }
}

fn whose(row: &CheckoutRow) -> Whose {
    Whose {
        customer_id: row.checkout.customer_id,
        merchant_id: row.merchant_id,
    }
}
