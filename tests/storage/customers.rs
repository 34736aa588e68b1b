//! What a start knows of customers: those that are there, by both names, and none that was deleted.

use caldera::domain::customer::CustomerFields;
use caldera::domain::ids::CustomerId;
use caldera::storage::customers::{self, Creation, CustomerRow};
use caldera::storage::{StorageError, replica};

use super::fixtures::{Storage, Tenant, bits};

fn customer(tenant: Tenant, reference: Option<&str>) -> CustomerRow {
    let id = CustomerId::from_bits(bits());
    CustomerRow {
        id,
        merchant_id: tenant.merchant,
        fields: CustomerFields {
            reference_id: reference.map(str::to_owned),
            ..CustomerFields::default()
        },
        created_at_ms: id.created_ms(),
    }
}

#[test]
fn a_start_holds_every_customer_that_is_not_deleted() {
    let mut storage = Storage::new();
    let (owner, stranger) = (storage.tenant(), storage.tenant());
    let db = &mut storage.connection;
    let rows = [
        customer(owner, Some("one")),
        customer(owner, None),
        customer(stranger, Some("one")),
    ];
    for row in &rows {
        let made = customers::create(db, row.clone()).unwrap();
        assert_eq!(made, Creation::Made(row.clone()));
    }
    let twin = customers::create(db, customer(owner, Some("one"))).unwrap();
    assert_eq!(twin, Creation::Existing(rows[0].clone()));
    let gone = customer(owner, Some("gone"));
    customers::create(db, gone.clone()).unwrap();
    customers::delete(db, owner.merchant, "gone").unwrap();
    let missing = customers::delete(db, owner.merchant, &gone.id.to_string());
    assert!(matches!(missing, Err(StorageError::NotFound)));
    let held = replica::load(db).unwrap().customers;
    assert_eq!(held.len(), 3);
    assert_eq!(held.find(owner.merchant, "one").unwrap().id, rows[0].id);
    assert_eq!(held.find(stranger.merchant, "one").unwrap().id, rows[2].id);
    assert_eq!(
        held.by_id(rows[1].id).map(|held| (*held).clone()),
        Some(rows[1].reference())
    );
    assert!(held.find(owner.merchant, "gone").is_none());
    assert!(held.find(owner.merchant, &rows[2].id.to_string()).is_none());
}
