//! Which payments a subscription has taken into account. What a payment was for is given once: whoever does not know
//! whether that was done, as after a crash, may do it again, and finds the payment here.

use super::super::ids::PaymentId;
use super::{Subscription, Turn};

/// How many payments of one subscription may be in doubt at once.
const REMEMBERED: usize = 16;

impl Turn {
    /// Notes which payment the turn was made for.
    pub fn paid_by(mut self, payment: PaymentId) -> Self {
        let known = &mut self.subscription.recent_payments;
        if known.len() >= REMEMBERED {
            known.drain(..=known.len() - REMEMBERED);
        }
        known.push(payment);
        self
    }
}

impl Subscription {
    /// Whether the turn of this payment was made already.
    pub fn knows_payment(&self, payment: PaymentId) -> bool {
        self.recent_payments.contains(&payment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credit::Credit;
    use crate::domain::ids::{Mode, PlanId, SubscriptionId};
    use crate::domain::money::Money;
    use crate::domain::terms::{Interval, Offer, Rollover, Terms};

    #[test]
    fn a_payment_is_known_for_as_long_as_it_may_be_in_doubt() {
        let offer = Offer {
            terms: Terms {
                plan_id: PlanId::compose(Mode::Live, 0, 2),
                name: "Pro".to_owned(),
                period_amount: Money::from_nanos(1),
                included_credit: Money::ZERO,
                interval: Interval::Month,
                rollover: Rollover::None,
                bundle_rollover: Rollover::None,
            },
            auto_top_up_bundle_id: None,
        };
        let id = SubscriptionId::compose(Mode::Live, 0, 2);
        let payment = |number: usize| PaymentId::compose(Mode::Live, 0, 2 * number as u128);
        let mut turn = Subscription::begin(id, offer.clone(), Credit::ZERO, 0).paid_by(payment(0));
        for number in 1..40 {
            turn = turn.subscription.cancel().unwrap().paid_by(payment(number));
        }
        // A better plan forgets none of them.
        let upgraded = turn.subscription.upgrade(offer, Credit::ZERO, 9).unwrap().subscription;
        for number in 0..40 {
            assert_eq!(
                upgraded.knows_payment(payment(number)),
                number >= 40 - REMEMBERED,
                "{number}"
            );
        }
        let again: Subscription = serde_json::from_value(serde_json::to_value(&upgraded).unwrap()).unwrap();
        assert_eq!(again, upgraded);
    }
}
