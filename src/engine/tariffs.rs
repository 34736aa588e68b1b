//! What merchants take from their customers: a full replica in memory of every meter, and of every plan with the meters
//! that its subscribers may use, so that no call waits for the database. The management calls change it before they
//! answer. It fails closed: a meter that is not here is unknown, and one that is not on a plan does not draw on it.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::ids::{MerchantId, MeterId, PlanId};
use crate::domain::meter::Meter;
use crate::domain::plan::Plan;

/// A plan as calls know it. One that is deleted stays, for those who are on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPlan {
    pub merchant_id: MerchantId,
    pub plan: Plan,
    /// The only meters that may draw on its credit, in the order of their ids.
    pub meter_ids: Vec<MeterId>,
    /// Nobody begins it any more.
    pub is_deleted: bool,
}

impl ListedPlan {
    /// The plan that every merchant has from the start.
    pub fn free_of(merchant: MerchantId) -> Self {
        Self {
            merchant_id: merchant,
            plan: Plan::free_of(merchant),
            meter_ids: Vec::new(),
            is_deleted: false,
        }
    }

    /// Whether its subscribers may use this meter.
    pub fn has_meter(&self, meter: MeterId) -> bool {
        self.meter_ids.contains(&meter)
    }
}

/// One merchant's meters that are not deleted.
#[derive(Debug, Default)]
struct MerchantMeters {
    by_id: HashMap<MeterId, Arc<Meter>>,
    /// A slug never changes, but it may be taken again once its meter is deleted.
    by_slug: HashMap<String, Arc<Meter>>,
}

/// The meters and plans of all merchants.
#[derive(Debug, Default)]
pub struct Tariffs {
    meters: DashMap<MerchantId, MerchantMeters>,
    plans: DashMap<PlanId, Arc<ListedPlan>>,
}

impl Tariffs {
    /// A merchant's meter by its slug, or by its id where the text is one.
    pub fn meter_by_slug(&self, merchant: MerchantId, text: &str) -> Option<Arc<Meter>> {
        let meters = self.meters.get(&merchant)?;
        let found = match text.parse::<MeterId>() {
            Ok(id) => meters.by_id.get(&id),
            Err(_) => meters.by_slug.get(text),
        };
        found.cloned()
    }

    /// A plan, deleted or not; whoever takes the id from a caller asks whose it is.
    pub fn plan(&self, id: PlanId) -> Option<Arc<ListedPlan>> {
        self.plans.get(&id).map(|entry| entry.value().clone())
    }

    /// A merchant's meters, in no order.
    pub fn meters_of(&self, merchant: MerchantId) -> Vec<Arc<Meter>> {
        let own = self.meters.get(&merchant);
        own.map_or_else(Vec::new, |meters| meters.by_id.values().cloned().collect())
    }

    /// A merchant's plans that are not deleted, newest first. It looks at every plan: not for the path of a call.
    pub fn plans_of(&self, merchant: MerchantId) -> Vec<Arc<ListedPlan>> {
        let own = |entry: &Arc<ListedPlan>| entry.merchant_id == merchant && !entry.is_deleted;
        let plans = self.plans.iter().map(|entry| entry.value().clone());
        let mut plans: Vec<_> = plans.filter(own).collect();
        plans.sort_unstable_by_key(|plan| std::cmp::Reverse(plan.plan.id()));
        plans
    }

    /// Adds a meter, or puts it in the place of what it was.
    pub fn put_meter(&self, merchant: MerchantId, meter: Meter) {
        self.meters.entry(merchant).or_default().put(meter);
    }

    /// Takes a meter out, and out of every plan of the merchant as well. It looks at every plan: not for the path of a
    /// call.
    pub fn remove_meter(&self, merchant: MerchantId, id: MeterId) {
        if let Some(mut meters) = self.meters.get_mut(&merchant) {
            meters.remove(id);
        }
        for mut entry in self.plans.iter_mut() {
            if entry.merchant_id == merchant && entry.has_meter(id) {
                Arc::make_mut(entry.value_mut())
                    .meter_ids
                    .retain(|linked| *linked != id);
            }
        }
    }

    /// Adds a plan, or puts it in the place of what it was.
    pub fn put_plan(&self, plan: ListedPlan) {
        self.plans.insert(plan.plan.id(), Arc::new(plan));
    }

    /// Marks a plan as deleted.
    pub fn retire_plan(&self, id: PlanId) {
        if let Some(mut entry) = self.plans.get_mut(&id) {
            Arc::make_mut(entry.value_mut()).is_deleted = true;
        }
    }

    /// Makes these the merchant's meters and plans, whatever they were. Plans are never without their row, so none is
    /// taken out.
    pub fn replace(&self, merchant: MerchantId, meters: Vec<Meter>, plans: Vec<ListedPlan>) {
        let mut new = MerchantMeters::default();
        for meter in meters {
            new.put(meter);
        }
        self.meters.insert(merchant, new);
        for plan in plans {
            self.put_plan(plan);
        }
    }
}

impl MerchantMeters {
    fn put(&mut self, meter: Meter) {
        let meter = Arc::new(meter);
        self.by_slug.insert(meter.slug.clone(), meter.clone());
        self.by_id.insert(meter.id, meter);
    }

    fn remove(&mut self, id: MeterId) {
        if let Some(meter) = self.by_id.remove(&id) {
            self.by_slug.remove(&meter.slug);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::meter::{RateType, Tier, TierType, Tiers};
    use crate::domain::money::Money;

    fn merchant(number: u128) -> MerchantId {
        MerchantId::from_bits(number << 1)
    }

    fn meter(number: u128, slug: &str) -> Meter {
        let tier = Tier {
            start: 0,
            rate: Money::from_nanos(1),
        };
        Meter {
            id: MeterId::from_bits(number << 1),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            rate_type: RateType::Fixed,
            tier_type: TierType::Requests,
            tiers: Tiers::new(vec![tier]).unwrap(),
        }
    }

    fn plan(owner: MerchantId, meters: &[&Meter]) -> ListedPlan {
        ListedPlan {
            meter_ids: meters.iter().map(|meter| meter.id).collect(),
            ..ListedPlan::free_of(owner)
        }
    }

    fn name_of(tariffs: &Tariffs, owner: MerchantId, text: &str) -> Option<String> {
        let found = tariffs.meter_by_slug(owner, text);
        found.map(|meter| meter.name.clone())
    }

    #[test]
    fn a_meter_is_found_by_slug_and_by_id_by_its_own_merchant_only() {
        let tariffs = Tariffs::default();
        let [one, other] = [1, 2].map(merchant);
        tariffs.put_meter(one, meter(1, "chat"));
        tariffs.put_meter(other, meter(2, "chat"));
        let id = meter(1, "").id.to_string();
        assert_eq!(name_of(&tariffs, one, &id).as_deref(), Some("chat"));
        assert_eq!(name_of(&tariffs, other, &id), None);
        let renamed = Meter {
            name: "Chat".to_owned(),
            ..meter(1, "chat")
        };
        tariffs.put_meter(one, renamed);
        for (text, name) in [("chat", Some("Chat")), (id.as_str(), Some("Chat")), ("Chat", None)] {
            assert_eq!(name_of(&tariffs, one, text).as_deref(), name, "{text}");
        }
        assert_eq!(name_of(&tariffs, other, "chat").as_deref(), Some("chat"));
        assert_eq!(name_of(&tariffs, merchant(3), "chat"), None);
    }

    #[test]
    fn a_merchants_plans_are_his_own_and_those_that_are_there() {
        let tariffs = Tariffs::default();
        let [one, other] = [1, 2].map(merchant);
        for owner in [one, other] {
            tariffs.put_plan(plan(owner, &[]));
        }
        let ids = |owner| {
            tariffs
                .plans_of(owner)
                .iter()
                .map(|plan| plan.plan.id())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(one), [Plan::free_of(one).id()]);
        tariffs.retire_plan(Plan::free_of(one).id());
        assert_eq!((ids(one).len(), ids(other).len()), (0, 1));
    }

    #[test]
    fn a_deleted_meter_leaves_its_slug_and_its_merchants_plans() {
        let tariffs = Tariffs::default();
        let (owner, [old, kept]) = (merchant(1), [meter(1, "chat"), meter(2, "voice")]);
        for meter in [&old, &kept] {
            tariffs.put_meter(owner, meter.clone());
        }
        tariffs.put_plan(plan(owner, &[&old, &kept]));
        let begun = tariffs.plan(Plan::free_of(owner).id()).unwrap();
        // Another merchant's deletion of this id takes nothing away.
        tariffs.remove_meter(merchant(2), old.id);
        assert_eq!(tariffs.plan(begun.plan.id()).unwrap(), begun);
        tariffs.remove_meter(owner, old.id);
        assert_eq!(name_of(&tariffs, owner, "chat"), None);
        let after = tariffs.plan(begun.plan.id()).unwrap();
        assert_eq!((after.has_meter(old.id), after.has_meter(kept.id)), (false, true));
        assert!(begun.has_meter(old.id), "a call keeps what it began with");
        let new = meter(3, "chat");
        tariffs.put_meter(owner, new.clone());
        tariffs.remove_meter(owner, old.id);
        assert_eq!(tariffs.meter_by_slug(owner, "chat").as_deref(), Some(&new));
    }

    #[test]
    fn a_deleted_plan_stays_for_those_who_are_on_it() {
        let tariffs = Tariffs::default();
        let (owner, meter) = (merchant(1), meter(1, "chat"));
        let listed = plan(owner, &[&meter]);
        let id = listed.plan.id();
        tariffs.retire_plan(id);
        assert_eq!(tariffs.plan(id), None);
        tariffs.put_plan(listed);
        tariffs.retire_plan(id);
        let retired = tariffs.plan(id).unwrap();
        assert!(retired.is_deleted && retired.has_meter(meter.id));
    }

    #[test]
    fn what_is_read_again_takes_the_place_of_all_that_was() {
        let tariffs = Tariffs::default();
        let (owner, other, [gone, new]) = (merchant(1), merchant(2), [meter(1, "a"), meter(2, "b")]);
        tariffs.put_meter(owner, gone.clone());
        tariffs.put_meter(other, meter(3, "a"));
        tariffs.put_plan(plan(owner, &[&gone]));
        tariffs.replace(owner, vec![new.clone()], vec![plan(owner, &[&new])]);
        let names = ["a", "b"].map(|slug| name_of(&tariffs, owner, slug));
        assert_eq!(names, [None, Some("b".to_owned())]);
        assert_eq!(name_of(&tariffs, other, "a").as_deref(), Some("a"));
        assert_eq!(tariffs.plan(Plan::free_of(owner).id()).unwrap().meter_ids, [new.id]);
    }
}
