//! Charges that nobody is there for: the next cycle of a subscription, and the bundle that is bought by itself as credit
//! runs out. A renewal has one payment for each attempt, whose id follows from it, so that it is asked for once however
//! often it is looked at; a failed one is tried again as the domain says, and then the subscription ends.

use std::time::Duration;

use actix_web::web::Data;
use sha2::{Digest as _, Sha256};

use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::{CustomerId, PaymentId, SubscriptionId};
use crate::domain::money::Money;
use crate::domain::payment::{Cents, PaymentStatus, ProcessorKind, Purpose};
use crate::domain::subscription::{Due, Subscription};
use crate::engine::customer_accounts::{ChangeError, Whose};
use crate::engine::payments::Approval;
use crate::engine::random;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::storage::payments::{self, MethodRow, PaymentRow};
use crate::storage::subscriptions;

use super::settle::settle;

type State = Data<AppState>;

/// How often it is looked which cycles wait for a payment.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// How long a customer is left alone after a bundle was bought by itself, and after one that was refused.
const TOP_UP_PAUSE_MS: i64 = 10_000;
const REFUSED_PAUSE_MS: i64 = 3_600_000;

/// Charges the cycles that have come, for as long as the server runs.
pub async fn charge_renewals(state: State) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if state.phase.require_ready().is_err() {
            continue;
        }
        let now_s = state.now().wall_s();
        let found = state
            .database
            .run(move |connection| subscriptions::due_for_payment(connection, now_s));
        for row in found.await.unwrap_or_default() {
            let whose = Whose {
                customer_id: row.customer_id,
                merchant_id: row.merchant_id,
            };
            if let Err(error) = renew(&state, whose).await {
                tracing::warn!(subscription.id = %row.subscription.id, %error, "a renewal is charged later");
            }
        }
    }
}

/// Buys bundles for those whose credit has run out, for as long as the server runs.
pub async fn charge_top_ups(state: State) {
    loop {
        for whose in state.customer_accounts.top_ups().take().await {
            if let Err(error) = top_up(&state, whose).await {
                tracing::warn!(customer.id = %whose.customer_id, %error, "a bundle is not bought by itself");
            }
        }
    }
}

async fn renew(state: &State, whose: Whose) -> Result<(), ApiError> {
    let account = state.customer_accounts.read(whose).await?;
    let Some((subscription, due)) = due_of(&account, state.now().wall_s()) else {
        return Ok(());
    };
    let mode = whose.merchant_id.mode();
    if state.checkout.payments.desk(mode).is_none() {
        tracing::error!(subscription.id = %subscription.id, "a renewal cannot be charged: no processor is set up");
        return Ok(());
    }
    let Some((method, payer)) = card_of(state, whose.customer_id, ProcessorKind::of(mode)).await? else {
        return fail(state, whose, due).await;
    };
    let charge = Charge {
        id: renewal_id(subscription.id, due),
        price: due.amount,
        description: format!("Subscription: {}", subscription.next_terms().name),
        purpose: Purpose::Renewal { due },
    };
    let payment = charge_now(state, whose, (method, payer), charge).await?;
    match (payment.status, payment.purpose) {
        (PaymentStatus::Declined, Purpose::Renewal { due }) => fail(state, whose, due).await,
        _ => Ok(()),
    }
}

/// The payment that the next cycle waits for.
fn due_of(account: &CustomerAccount, now_s: i64) -> Option<(Subscription, Due)> {
    let subscription = account.active_subscription()?;
    let due = subscription.catch_up(account.credit.credit, now_s).due?;
    Some((subscription.clone(), due))
}

/// The attempt has failed; one that failed before is not counted again.
async fn fail(state: &State, whose: Whose, due: Due) -> Result<(), ApiError> {
    let change = state.customer_accounts.change(whose, move |account, now_s| {
        let subscription = account.active_subscription().ok_or(ChangeError::NoSubscription)?;
        Ok(subscription.payment_failed(due, account.credit.credit, now_s)?)
    });
    match change.await {
        Err(error @ (ChangeError::JournalFull | ChangeError::Stopped)) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn top_up(state: &State, whose: Whose) -> Result<(), ApiError> {
    let account = state.customer_accounts.read(whose).await?;
    let Some(subscription) = account.active_subscription() else {
        return Ok(());
    };
    let plan = state.tariffs.plan(subscription.terms.plan_id);
    let wanted = subscription.auto_top_up_bundle_id;
    let bundle = plan.as_ref().zip(wanted).and_then(|(plan, id)| plan.plan.bundle(id));
    let mode = whose.merchant_id.mode();
    let (Some(bundle), Some(_)) = (bundle, state.checkout.payments.desk(mode)) else {
        return Ok(());
    };
    let customer_id = whose.customer_id;
    let latest = state
        .database
        .run(move |connection| payments::latest_top_up(connection, customer_id));
    if latest
        .await?
        .is_some_and(|latest| is_too_soon(&latest, state.now().wall_ms))
    {
        return Ok(());
    }
    let Some(card) = card_of(state, customer_id, ProcessorKind::of(mode)).await? else {
        return Ok(());
    };
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let charge = Charge {
        id: PaymentId::compose_in_order(mode, state.clock.wall_us(), random),
        price: bundle.cost,
        description: format!("Credit: {}", bundle.name),
        purpose: Purpose::TopUp {
            credit_amount: bundle.credit_amount,
        },
    };
    charge_now(state, whose, card, charge).await.map(|_| ())
}

fn is_too_soon(latest: &PaymentRow, now_ms: i64) -> bool {
    let pause_ms = match latest.status {
        // Whoever does not know how it ended waits for that.
        PaymentStatus::Pending | PaymentStatus::ActionRequired => return true,
        PaymentStatus::Paid => TOP_UP_PAUSE_MS,
        PaymentStatus::Declined | PaymentStatus::Refunded => REFUSED_PAUSE_MS,
    };
    now_ms < latest.created_at_ms + pause_ms
}

/// A charge about to be made.
pub struct Charge {
    pub id: PaymentId,
    pub price: Money,
    pub description: String,
    pub purpose: Purpose,
}

/// Stores the payment, unless it is there, brings it as far as it goes now, and returns how it stands.
pub async fn charge_now(
    state: &State,
    whose: Whose,
    card: (MethodRow, String),
    charge: Charge,
) -> Result<PaymentRow, ApiError> {
    let stored = store(state, whose, card, charge).await?;
    bring_on(state, stored.id).await
}

/// Stores the payment, unless one of its id is there, and returns what is there.
pub async fn store(
    state: &State,
    whose: Whose,
    (method, payer): (MethodRow, String),
    charge: Charge,
) -> Result<PaymentRow, ApiError> {
    let row = PaymentRow {
        id: charge.id,
        merchant_id: whose.merchant_id,
        customer_id: whose.customer_id,
        method_id: method.id,
        processor: method.processor,
        payer,
        amount: Cents::of(charge.price),
        description: charge.description,
        purpose: charge.purpose,
        session_id: None,
        status: PaymentStatus::Pending,
        reference: None,
        decline: None,
        created_at_ms: state.now().wall_ms,
        applied_at_ms: None,
    };
    let stored = state
        .database
        .run(move |connection| payments::create_once(connection, &row));
    Ok(stored.await?)
}

/// Brings a stored payment as far as it goes now, and returns how it stands.
pub async fn bring_on(state: &State, id: PaymentId) -> Result<PaymentRow, ApiError> {
    settle(state, id, Approval::Unknown).await?;
    Ok(state
        .database
        .run(move |connection| payments::find(connection, id))
        .await?)
}

/// The card that a customer put on file last, and how the processor knows him.
async fn card_of(
    state: &State,
    customer: CustomerId,
    processor: ProcessorKind,
) -> Result<Option<(MethodRow, String)>, ApiError> {
    let found = state.database.run(move |connection| {
        let method = payments::latest_method(connection, customer, processor)?;
        Ok(method.zip(payments::find_payer(connection, customer, processor)?))
    });
    Ok(found.await?)
}

/// The same for the same attempt at the same cycle.
fn renewal_id(subscription: SubscriptionId, due: Due) -> PaymentId {
    let mut digest = Sha256::new();
    digest.update(subscription.bits().to_be_bytes());
    digest.update(due.cycle_end_s.to_be_bytes());
    digest.update(due.attempt.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    let at_ms = due.cycle_end_s.saturating_mul(1000);
    PaymentId::compose(subscription.mode(), at_ms, u128::from_be_bytes(bytes))
}
