//! Money of cards in the ledger: what is paid and given back is entered once, with the payment's status or not at all,
//! and the proof sees what was changed behind its back.

use caldera::domain::ids::{CustomerId, PaymentId, PaymentMethodId};
use caldera::domain::money::Money;
use caldera::domain::payment::{Card, Cents, Decline, PaymentStatus, ProcessorKind, Purpose};
use caldera::storage::payments::{self, MethodRow, PaymentNews, PaymentRow};
use caldera::storage::proof::{self, Invariant};
use diesel::prelude::*;
use diesel::sql_query;

use super::fixtures::{NOON_MS, Storage, Tenant, bits};

const DOLLAR: i64 = 1_000_000_000;

/// A payment of $9 that is about to be asked for.
fn asked(storage: &mut Storage, tenant: Tenant) -> PaymentId {
    let method = MethodRow {
        id: PaymentMethodId::from_bits(bits()),
        merchant_id: tenant.merchant,
        customer_id: CustomerId::from_bits(bits()),
        processor: ProcessorKind::Test,
        reference: "card".to_owned(),
        card: Card {
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
            expiry_month: 12,
            expiry_year: 2034,
        },
        created_at_ms: NOON_MS,
    };
    payments::create_method(&mut storage.connection, &method).unwrap();
    let row = PaymentRow {
        id: PaymentId::from_bits(bits()),
        merchant_id: tenant.merchant,
        customer_id: method.customer_id,
        method_id: method.id,
        processor: ProcessorKind::Test,
        payer: "payer".to_owned(),
        amount: Cents::of(Money::from_nanos(9 * DOLLAR)),
        description: "Credit".to_owned(),
        purpose: Purpose::TopUp {
            credit_amount: Money::from_nanos(10 * DOLLAR),
        },
        session_id: None,
        status: PaymentStatus::Pending,
        reference: None,
        decline: None,
        created_at_ms: NOON_MS,
        applied_at_ms: None,
    };
    payments::create(&mut storage.connection, &row).unwrap();
    row.id
}

fn news(status: PaymentStatus) -> PaymentNews {
    PaymentNews {
        status,
        reference: Some("theirs".to_owned()),
        decline: (status == PaymentStatus::Declined).then(|| Decline::new("card_declined", "No.")),
    }
}

fn learn(storage: &mut Storage, id: PaymentId, status: PaymentStatus) {
    payments::learn(&mut storage.connection, id, &news(status), NOON_MS).unwrap();
}

fn card_money(storage: &mut Storage) -> [i64; 2] {
    ["card_money", "card_sales"].map(|kind| {
        storage.number(&format!(
            "SELECT coalesce(sum(amount), 0)::bigint AS number FROM ledger_entries WHERE account_kind = '{kind}'"
        ))
    })
}

fn broken(storage: &mut Storage) -> Vec<&'static str> {
    let invariants = proof::read(&mut storage.connection, None).unwrap();
    let differs = |side: &&Invariant| side.left != side.right;
    invariants.iter().filter(differs).map(|side| side.name).collect()
}

#[test]
fn what_is_paid_and_what_is_given_back_are_entered_once() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (kept, returned, refused) = (
        asked(&mut storage, tenant),
        asked(&mut storage, tenant),
        asked(&mut storage, tenant),
    );
    learn(&mut storage, refused, PaymentStatus::ActionRequired);
    assert_eq!(card_money(&mut storage), [0, 0]);
    learn(&mut storage, refused, PaymentStatus::Declined);
    learn(&mut storage, refused, PaymentStatus::Paid);
    for id in [kept, returned, kept, returned] {
        learn(&mut storage, id, PaymentStatus::Paid);
    }
    assert_eq!(card_money(&mut storage), [18 * DOLLAR, -18 * DOLLAR]);
    assert_eq!(broken(&mut storage), [""; 0]);
    for id in [returned, returned, refused] {
        payments::refund(&mut storage.connection, id, NOON_MS).unwrap();
    }
    assert_eq!(card_money(&mut storage), [9 * DOLLAR, -9 * DOLLAR]);
    assert_eq!(storage.number("SELECT count(*) AS number FROM billing_batches"), 3);
    assert_eq!(broken(&mut storage), [""; 0]);
}

#[test]
fn no_status_is_there_without_its_entries_and_the_proof_sees_a_changed_payment() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (paid, open) = (asked(&mut storage, tenant), asked(&mut storage, tenant));
    learn(&mut storage, paid, PaymentStatus::Paid);
    let statements = [
        format!("UPDATE payments SET status = 'paid' WHERE id = '{}'", open.uuid()),
        format!("UPDATE payments SET status = 'refunded' WHERE id = '{}'", paid.uuid()),
        format!("UPDATE payments SET status = 'pending' WHERE id = '{}'", paid.uuid()),
        format!(
            "UPDATE payments SET status = 'paid', paid_batch_id = (SELECT max(id) FROM billing_batches) WHERE id = '{}'",
            open.uuid()
        ),
    ];
    for statement in statements {
        assert!(
            sql_query(&statement).execute(&mut storage.connection).is_err(),
            "{statement}"
        );
    }
    assert_eq!(broken(&mut storage), [""; 0]);
    let damage = format!(
        "UPDATE payments SET amount = amount + 10000000 WHERE id = '{}'",
        paid.uuid()
    );
    sql_query(damage).execute(&mut storage.connection).unwrap();
    assert_eq!(broken(&mut storage), ["card_money", "payments_whose_entries_differ"]);
}
