//! What is put in force as meters and plans change is what a start finds in the rows.

use caldera::domain::ids::{MeterId, PlanId};
use caldera::domain::meter::{Meter, MeterName, RateType, Tier, TierType, Tiers};
use caldera::domain::money::Money;
use caldera::domain::plan::{Plan, PlanChange};
use caldera::domain::terms::Terms;
use caldera::engine::tariffs::{ListedPlan, Tariffs};
use caldera::storage::meters::{self, MeterChange, MeterRow};
use caldera::storage::plans::{self, PlanEdit};
use caldera::storage::replica;

use super::fixtures::{Storage, Tenant, bits};

const SLUGS: [&str; 2] = ["chat", "voice"];

fn tiers(rate_nanos: i64) -> Tiers {
    let rate = Money::from_nanos(rate_nanos);
    Tiers::new(vec![Tier { start: 0, rate }]).unwrap()
}

fn meter(tenant: Tenant, slug: &str) -> MeterRow {
    let id = MeterId::from_bits(bits());
    MeterRow {
        merchant_id: tenant.merchant,
        meter: Meter {
            id,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            rate_type: RateType::Fixed,
            tier_type: TierType::Tokens,
            tiers: tiers(5),
        },
        created_at_ms: id.created_ms(),
    }
}

fn plan(tenant: Tenant) -> Plan {
    let free = Plan::free_of(tenant.merchant);
    Plan {
        terms: Terms {
            plan_id: PlanId::from_bits(bits()),
            ..free.terms
        },
        ..free
    }
}

/// A start's view of these plans and of all meters, after it was compared with what is in force.
fn same_after_a_start(storage: &mut Storage, live: &Tariffs, tenants: &[Tenant], ids: &[PlanId]) -> Vec<ListedPlan> {
    let loaded = replica::load(&mut storage.connection).unwrap().tariffs();
    for tenant in tenants {
        for slug in SLUGS {
            let known = loaded.meter_by_slug(tenant.merchant, slug);
            assert_eq!(known, live.meter_by_slug(tenant.merchant, slug), "{slug}");
        }
    }
    let listed = |id: &PlanId| {
        let known = loaded.plan(*id).unwrap();
        assert_eq!(Some(&known), live.plan(*id).as_ref());
        ListedPlan::clone(&known)
    };
    ids.iter().map(listed).collect()
}

#[test]
fn what_is_in_force_is_what_a_start_finds() {
    let mut storage = Storage::new();
    let (owner, other) = (storage.tenant(), storage.tenant());
    let live = Tariffs::default();
    for row in [meter(owner, "chat"), meter(owner, "voice"), meter(other, "chat")] {
        meters::create(&mut storage.connection, &row).unwrap();
        live.put_meter(row.merchant_id, row.meter);
    }
    let meter_ids = SLUGS.map(|slug| live.meter_by_slug(owner.merchant, slug).unwrap().id);
    let created = plans::create(&mut storage.connection, owner.merchant, plan(owner), &meter_ids);
    let created = created.unwrap().unwrap();
    live.put_plan(created.listed());
    for tenant in [owner, other] {
        live.put_plan(ListedPlan::free_of(tenant.merchant));
    }
    let id = created.plan.id();
    let ids = [
        id,
        Plan::free_of(owner.merchant).id(),
        Plan::free_of(other.merchant).id(),
    ];
    let same = |storage: &mut Storage| same_after_a_start(storage, &live, &[owner, other], &ids).swap_remove(0);
    assert_eq!(same(&mut storage).meter_ids, meter_ids);

    let name = MeterName::from("chat");
    let change = MeterChange {
        tiers: Some(tiers(7)),
        ..MeterChange::default()
    };
    let changed = meters::update(&mut storage.connection, owner.merchant, &name, change).unwrap();
    live.put_meter(owner.merchant, changed.meter);
    same(&mut storage);

    let deleted = meters::delete(&mut storage.connection, owner.merchant, &name).unwrap();
    live.remove_meter(owner.merchant, deleted);
    assert_eq!(same(&mut storage).meter_ids, [meter_ids[1]]);

    let edit = PlanEdit {
        change: PlanChange {
            included_credit: Some(Money::from_nanos(9)),
            ..PlanChange::default()
        },
        meter_ids: None,
    };
    let updated = plans::update(&mut storage.connection, owner.merchant, id, edit);
    live.put_plan(updated.unwrap().unwrap().listed());
    assert_eq!(same(&mut storage).meter_ids, [meter_ids[1]]);

    plans::delete(&mut storage.connection, owner.merchant, id).unwrap();
    live.retire_plan(id);
    let retired = same(&mut storage);
    assert!(retired.is_deleted && retired.has_meter(meter_ids[1]));
}
