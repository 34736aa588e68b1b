//! What a payment does to its customer's account. A payment counts once: one that the subscription knows is refused as
//! not due. What no longer fits, because the subscription has changed since, is refused too, and its money goes back.

use crate::domain::checkout::{Basket, PlanMove};
use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::{PaymentId, SubscriptionId};
use crate::domain::money::Money;
use crate::domain::payment::Purpose;
use crate::domain::plan::Plan;
use crate::domain::subscription::{Purchase, Refusal, Subscription, Turn};
use crate::domain::terms::Offer;
use crate::engine::customer_accounts::ChangeError;

/// A purchase about to be given effect.
#[derive(Clone, Debug)]
pub struct Given {
    pub purpose: Purpose,
    /// `None` where nothing was due.
    pub payment: Option<PaymentId>,
    /// Of a subscription that begins.
    pub new_id: SubscriptionId,
}

impl Given {
    /// What the account makes of it.
    pub fn turn(self, account: &CustomerAccount, now_s: i64) -> Result<Turn, ChangeError> {
        let latest = account.subscription.as_ref();
        let is_known = |payment| latest.is_some_and(|latest| latest.knows_payment(payment));
        if self.payment.is_some_and(is_known) {
            return Err(Refusal::NotDue.into());
        }
        let credit = account.credit.credit;
        let current = account.active_subscription();
        let active = || current.ok_or(ChangeError::NoSubscription);
        let turn = match self.purpose {
            Purpose::Checkout {
                basket: Basket::Subscription { offer },
                ..
            } => start(account, offer, (self.payment, self.new_id), now_s)?,
            Purpose::Checkout {
                basket: Basket::CreditBundle {
                    plan_id, credit_amount, ..
                },
                ..
            } => {
                let current = active()?;
                if current.terms.plan_id != plan_id {
                    return Err(ChangeError::NoSubscription);
                }
                current.buy_bundle(Purchase::ByCustomer, credit_amount, credit)?
            }
            Purpose::Renewal { due } => active()?.renewed(due, credit, now_s)?,
            Purpose::TopUp { credit_amount } => active()?.buy_bundle(Purchase::AutoTopUp, credit_amount, credit)?,
            // It is a wallet's, and no customer's.
            Purpose::Funding { .. } => return Err(ChangeError::NoSubscription),
        };
        Ok(match self.payment {
            Some(payment) => turn.paid_by(payment),
            None => turn,
        })
    }
}

fn start(
    account: &CustomerAccount,
    offer: Offer,
    (payment, new_id): (Option<PaymentId>, SubscriptionId),
    now_s: i64,
) -> Result<Turn, ChangeError> {
    let credit = account.credit.credit;
    let current = account.active_subscription();
    let moved = PlanMove::of(current, &offer).ok_or(ChangeError::HasSubscription)?;
    // What he paid for, or did not, must be what it comes to now.
    if payment.is_some() != (moved.due(&offer) > Money::ZERO) {
        return Err(ChangeError::HasSubscription);
    }
    let is_first = |current: &Subscription| current.terms.plan_id == Plan::free_id(account.merchant_id);
    let turn = match (moved, current) {
        (PlanMove::Upgrade | PlanMove::Downgrade, Some(current)) if is_first(current) => {
            current.take_up(offer, credit, now_s)?
        }
        (PlanMove::Begin, _) | (_, None) => Subscription::begin(new_id, offer, credit, now_s),
        (PlanMove::Upgrade, Some(current)) => current.upgrade(offer, credit, now_s)?,
        (PlanMove::Downgrade, Some(current)) => current.downgrade(offer)?,
        (PlanMove::Resume, Some(current)) => current.withdraw_pending()?,
    };
    Ok(turn)
}
