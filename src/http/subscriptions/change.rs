//! Changes of subscriptions, as their shard makes them. One that Postgres has not taken in time is answered with 503:
//! it stands in the journal, and is done.

use std::time::Duration;

use actix_web::web;

use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::SubscriptionId;
use crate::domain::plan::Plan;
use crate::domain::subscription::{Refusal, Subscription, Turn};
use crate::domain::terms::Offer;
use crate::engine::customer_accounts::{ChangeError, Whose};
use crate::engine::tariffs::Tariffs;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::fields::Change;
use crate::http::state::AppState;

use super::body::Edit;

/// How long a caller waits for Postgres.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a journal that is full is left alone.
const INTERVAL: Duration = Duration::from_secs(1);

/// Makes a transition of a customer's subscription, and returns his account once Postgres has it.
pub async fn change(
    state: &web::Data<AppState>,
    whose: Whose,
    transition: impl FnOnce(&CustomerAccount, i64) -> Result<Turn, ChangeError> + Send + 'static,
) -> Result<CustomerAccount, ApiError> {
    let changed = state.customer_accounts.change(whose, transition);
    match tokio::time::timeout(PATIENCE, changed).await {
        Ok(changed) => Ok(changed?),
        Err(_) => Err(ApiError::new(ErrorCode::Unavailable)
            .say("The database is not available at the moment; the change is made as soon as it is.")),
    }
}

/// Ends the subscription of a customer who is no more, and all his credit with it; tried until it is done.
pub async fn end_for_good(state: web::Data<AppState>, whose: Whose) {
    let end = |account: &CustomerAccount, now_s| {
        let subscription = account.active_subscription().ok_or(ChangeError::NoSubscription)?;
        Ok(subscription.cancel_now(account.credit.credit, now_s)?)
    };
    while let Err(error) = state.customer_accounts.change(whose, end).await {
        match error {
            ChangeError::JournalFull => tokio::time::sleep(INTERVAL).await,
            ChangeError::Stopped => return tracing::info!("a deleted customer's subscription ends at the next start"),
            // It has ended already.
            ChangeError::NoSubscription
            | ChangeError::Refused(_)
            | ChangeError::HasSubscription
            | ChangeError::NoCustomer
            | ChangeError::NotOnPlan
            | ChangeError::NoBundle => return,
        }
    }
}

/// Whether a customer has begun a plan, or only changed what he was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    Begun,
    Changed,
}

/// The customer's subscription to this plan: his first, the one in the place of that on which customers begin, or his
/// active one changed.
pub fn begun_or_changed(
    account: &CustomerAccount,
    id: SubscriptionId,
    offer: Offer,
    now_s: i64,
) -> Result<(Turn, Subscribed), ChangeError> {
    let credit = account.credit.credit;
    let Some(current) = account.active_subscription() else {
        return Ok((Subscription::begin(id, offer, credit, now_s), Subscribed::Begun));
    };
    if current.terms.plan_id == offer.terms.plan_id {
        return match current.pending {
            Some(_) => Ok((current.withdraw_pending()?, Subscribed::Changed)),
            None => Err(ChangeError::HasSubscription),
        };
    }
    if current.terms.plan_id == Plan::free_id(account.merchant_id) {
        return Ok((current.take_up(offer, credit, now_s)?, Subscribed::Begun));
    }
    Ok((current.change_plan(offer, credit, now_s)?, Subscribed::Changed))
}

/// The subscription as the body wants it; a bundle must be of its plan.
pub fn edited(subscription: Option<&Subscription>, edit: &Edit, tariffs: &Tariffs) -> Result<Turn, ChangeError> {
    let mut next = still_active(subscription)?.clone();
    if edit.withdraws && next.pending.is_some() {
        next = next.withdraw_pending()?.subscription;
    }
    let bundle = match edit.bundle {
        Change::Keep => next.auto_top_up_bundle_id,
        Change::Clear => None,
        Change::Set(id) => {
            let plan = tariffs.plan(next.terms.plan_id);
            let bundle = plan.as_ref().and_then(|plan| plan.plan.bundle(id));
            Some(bundle.ok_or(ChangeError::NoBundle)?.id)
        }
    };
    Ok(next.set_auto_top_up(bundle)?)
}

/// The subscription that was asked for, unless it has ended.
pub fn still_active(subscription: Option<&Subscription>) -> Result<&Subscription, ChangeError> {
    subscription.ok_or(ChangeError::Refused(Refusal::Cancelled))
}
