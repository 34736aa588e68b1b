//! The plan on which customers begin: their merchant's free one, unless he has deleted it. Whoever has no subscription
//! yet, or has lost one to another plan, is put on it when he is next looked at; a crash between his creation and his
//! first turn costs him nothing. A deleted customer begins nothing.

use crate::domain::credit::Credit;
use crate::domain::ids::SubscriptionId;
use crate::domain::plan::Plan;
use crate::domain::subscription::Subscription;
use crate::engine::customer_accounts::Whose;
use crate::engine::journal::Written;
use crate::engine::random;

use super::CustomerShard;

impl CustomerShard {
    /// Puts the customer on the first plan where he belongs on it. Where the journal has no room it is tried again at
    /// the next look.
    pub(super) fn begin_first_plan(&mut self, whose: Whose) -> Option<Written> {
        let plan_id = Plan::free_id(whose.merchant_id);
        let account = self.accounts.get(&whose.customer_id);
        if account.is_some_and(|account| !account.lacks_plan(plan_id)) {
            return None;
        }
        self.parts.customers.by_id(whose.customer_id)?;
        let plan = self.parts.tariffs.plan(plan_id).filter(|plan| !plan.is_deleted)?;
        let credit = account.map_or(Credit::ZERO, |account| account.credit.credit);
        let id = if account.is_none_or(|account| account.version == 0) {
            Subscription::first_id(whose.customer_id)
        } else {
            let mode = whose.merchant_id.mode();
            SubscriptionId::compose_in_order(mode, self.parts.clock.wall_us(), random::bits().ok()?)
        };
        let now_s = self.parts.clock.now().wall_s();
        let begun = self.make(whose, &Subscription::begin(id, plan.plan.offer(), credit, now_s));
        let refused = |error| tracing::warn!(customer.id = %whose.customer_id, %error, "a customer has no plan yet");
        begun.map_err(refused).ok()
    }
}
