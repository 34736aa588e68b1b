//! Takes payments to their end: asks the processor, gives what was paid for, or gives the money back. Each step is stored
//! before the next and may be done again, so that whoever finds a payment half-way, after a crash or without an answer,
//! goes on with [`settle`]. It fails closed: nothing is given without its payment.

use std::time::Duration;

use actix_web::web::Data;

use crate::domain::checkout::Who;
use crate::domain::customer::CustomerFields;
use crate::domain::ids::{PaymentId, SubscriptionId};
use crate::domain::payment::{Decline, PaymentStatus, Purpose};
use crate::domain::subscription::Refusal;
use crate::engine::customer_accounts::{ChangeError, Whose};
use crate::engine::payments::{Approval, Order, Outcome, PaymentTrouble, Presence, Refund, RefundOutcome};
use crate::engine::random;
use crate::http::customers::subscription::first_subscription;
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::turns::to_the_end;
use crate::http::webhooks::customers::create_and_tell;
use crate::storage::StorageError;
use crate::storage::checkouts::{self, CheckoutRow};
use crate::storage::customers::CustomerRow;
use crate::storage::payments::{self, MethodRow, PaymentNews, PaymentRow};

use super::funding::put_in;
use super::turn::Given;

type State = Data<AppState>;

/// How often it is looked which payments are half-way.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long whoever makes a payment is left to it.
const PATIENCE_MS: i64 = 60_000;

/// Goes on with payments that nobody goes on with, for as long as the server runs.
pub async fn go_on_with_open_payments(state: State) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if state.phase.require_ready().is_err() {
            continue;
        }
        let before_ms = state.now().wall_ms - PATIENCE_MS;
        let found = state
            .database
            .run(move |connection| payments::in_doubt(connection, before_ms));
        for id in found.await.unwrap_or_default() {
            if let Err(error) = settle(&state, id, Approval::Unknown).await {
                tracing::warn!(payment.id = %id, %error, "a payment stays half-way");
            }
        }
    }
}

/// Brings a payment as far as it can be brought now.
pub async fn settle(state: &State, id: PaymentId, approval: Approval) -> Result<(), ApiError> {
    let state = state.clone();
    to_the_end(async move {
        let found = state.database.run(move |connection| {
            let payment = payments::find(connection, id)?;
            let method = payments::find_method(connection, payment.method_id)?;
            Ok((payment, method))
        });
        let (payment, method) = found.await?;
        let status = match payment.status {
            PaymentStatus::Pending | PaymentStatus::ActionRequired => ask(&state, &payment, method, approval).await?,
            known => known,
        };
        if status == PaymentStatus::Paid && payment.applied_at_ms.is_none() {
            conclude(&state, payment).await?;
        }
        Ok(())
    })
    .await
}

/// Gives a customer what he buys; `payment` is what it was paid with.
pub async fn give(
    state: &State,
    whose: Whose,
    purpose: Purpose,
    payment: Option<PaymentId>,
) -> Result<(), ChangeError> {
    let random = random::bits().map_err(|_| ChangeError::Stopped)?;
    let given = Given {
        purpose,
        payment,
        new_id: SubscriptionId::compose_in_order(whose.merchant_id.mode(), state.clock.wall_us(), random),
    };
    let held = state.customers.clone();
    let change = state.customer_accounts.change(whose, move |account, now_s| {
        // He is taken out of what is held before his subscription is ended, so that nothing is begun after that.
        if held.by_id(whose.customer_id).is_none() {
            return Err(ChangeError::NoCustomer);
        }
        given.turn(account, now_s)
    });
    change.await.map(|_| ())
}

/// Stores a customer who came without being one; he has his id from the start.
pub async fn make_customer(state: &State, row: &CheckoutRow, purpose: &Purpose) -> Result<(), ApiError> {
    let id = row.checkout.customer_id;
    let Purpose::Checkout {
        who: Who::New, phone, ..
    } = purpose
    else {
        return Ok(());
    };
    if state.customers.by_id(id).is_some() {
        return Ok(());
    }
    let new = CustomerRow {
        id,
        merchant_id: row.merchant_id,
        fields: CustomerFields {
            phone: phone.clone(),
            ..CustomerFields::default()
        },
        created_at_ms: id.created_ms(),
    };
    let held = state.customers.clone();
    let subscription = first_subscription(state, &new);
    let made = state.database.run(move |connection| {
        let reference = new.reference();
        // One that is there already is as good.
        match create_and_tell(connection, new, &subscription) {
            Ok(_) | Err(StorageError::Conflict { .. }) => held.insert(reference),
            Err(error) => return Err(error),
        }
        Ok(())
    });
    Ok(made.await?)
}

/// The same each time, so that the processor knows it again.
pub fn order(payment: &PaymentRow, method: MethodRow) -> Order {
    Order {
        payment_id: payment.id,
        payer: payment.payer.clone(),
        card: method.reference,
        amount: payment.amount,
        presence: match payment.session_id {
            Some(_) => Presence::Present,
            None => Presence::Absent,
        },
        description: payment.description.clone(),
    }
}

/// Asks the processor, and stores what it says. Without an answer the payment stays as it is.
async fn ask(
    state: &State,
    payment: &PaymentRow,
    method: MethodRow,
    approval: Approval,
) -> Result<PaymentStatus, ApiError> {
    let Some(desk) = state.checkout.payments.desk_of(payment.processor) else {
        tracing::error!(payment.id = %payment.id, "a payment is open at a processor that is no longer set up");
        return Ok(payment.status);
    };
    let order = order(payment, method);
    let asked = match payment.reference.clone() {
        None => desk.ask(move |processor| processor.charge(order)).await,
        Some(reference) => {
            desk.ask(move |processor| processor.find(reference, order, approval))
                .await
        }
    };
    let news = match asked {
        Ok(outcome) => news_of(outcome),
        Err(PaymentTrouble::Away(reason)) => {
            tracing::warn!(payment.id = %payment.id, reason, "a payment is asked for again later");
            return Ok(payment.status);
        }
        Err(PaymentTrouble::Refused(reason)) => {
            tracing::error!(payment.id = %payment.id, reason, "the payment processor refused a payment");
            let message = "The payment could not be made. You were not charged.";
            PaymentNews {
                status: PaymentStatus::Declined,
                reference: payment.reference.clone(),
                decline: Some(Decline::new("processor_error", message)),
            }
        }
    };
    let (id, session, status) = (payment.id, payment.session_id, news.status);
    let at_ms = state.now().wall_ms;
    state
        .database
        .run(move |connection| {
            payments::learn(connection, id, &news, at_ms)?;
            if let (Some(session), Some(decline)) = (session, news.decline) {
                checkouts::change(connection, session, |_, row| {
                    Ok(row.checkout.decline(id, decline).is_ok())
                })?;
            }
            Ok(())
        })
        .await?;
    Ok(status)
}

/// Gives what was paid for, or the money back.
async fn conclude(state: &State, payment: PaymentRow) -> Result<(), ApiError> {
    if let Purpose::Funding { wallet_id } = payment.purpose {
        return put_in(state, payment, wallet_id).await;
    }
    let id = payment.id;
    let whose = Whose {
        customer_id: payment.customer_id,
        merchant_id: payment.merchant_id,
    };
    if let Some(session) = payment.session_id {
        let merchant = payment.merchant_id;
        let found = state
            .database
            .run(move |connection| checkouts::find(connection, merchant, session));
        make_customer(state, &found.await?, &payment.purpose).await?;
    }
    match give(state, whose, payment.purpose.clone(), Some(id)).await {
        // The last is one that was given before, by whoever was interrupted here.
        Ok(()) | Err(ChangeError::Refused(Refusal::NotDue)) => {}
        Err(error @ (ChangeError::JournalFull | ChangeError::Stopped)) => return Err(error.into()),
        Err(
            error @ (ChangeError::Refused(_)
            | ChangeError::NoSubscription
            | ChangeError::HasSubscription
            | ChangeError::NoCustomer
            | ChangeError::NotOnPlan
            | ChangeError::NoBundle),
        ) => {
            tracing::warn!(payment.id = %id, %error, "a payment is given back: what it was for cannot be given");
            return give_back(state, payment).await;
        }
    }
    let now = state.now();
    let done = state.database.run(move |connection| {
        payments::apply(connection, id, now.wall_ms)?;
        if let Some(session) = payment.session_id {
            checkouts::change(connection, session, |_, row| {
                Ok(row.checkout.complete(id, now.wall_s()).is_ok())
            })?;
        }
        Ok(())
    });
    Ok(done.await?)
}

async fn give_back(state: &State, payment: PaymentRow) -> Result<(), ApiError> {
    let (id, session) = (payment.id, payment.session_id);
    let (Some(desk), Some(reference)) = (state.checkout.payments.desk_of(payment.processor), payment.reference) else {
        return Ok(());
    };
    let refund = Refund {
        payment_id: id,
        reference,
        amount: payment.amount,
    };
    match desk.ask(move |processor| processor.refund(refund)).await {
        Ok(RefundOutcome::Done { .. } | RefundOutcome::Processing { .. }) => {}
        Ok(RefundOutcome::Declined(decline)) => {
            tracing::error!(payment.id = %id, decline.code, "a payment cannot be given back");
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(payment.id = %id, %error, "a payment is given back later");
            return Ok(());
        }
    }
    let message = "What you wanted to buy is no longer to be had. Your payment was given back.";
    let decline = Decline::new("given_back", message);
    let at_ms = state.now().wall_ms;
    let done = state.database.run(move |connection| {
        payments::refund(connection, id, at_ms)?;
        if let Some(session) = session {
            checkouts::change(connection, session, |_, row| {
                Ok(row.checkout.decline(id, decline).is_ok())
            })?;
        }
        Ok(())
    });
    Ok(done.await?)
}

fn news_of(outcome: Outcome) -> PaymentNews {
    let open = |status, reference| PaymentNews {
        status,
        reference: Some(reference),
        decline: None,
    };
    match outcome {
        Outcome::Paid { reference } => open(PaymentStatus::Paid, reference),
        Outcome::ActionRequired { reference, .. } => open(PaymentStatus::ActionRequired, reference),
        Outcome::Processing { reference } => open(PaymentStatus::Pending, reference),
        Outcome::Declined { reference, decline } => PaymentNews {
            status: PaymentStatus::Declined,
            reference,
            decline: Some(decline),
        },
    }
}
