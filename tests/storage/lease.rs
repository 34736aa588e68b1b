//! The lease: one holder at a time, and a number that grows.

use caldera::storage::lease::{self, LeaseError};

use super::fixtures::Storage;

#[test]
fn a_second_process_waits_until_the_first_is_gone() {
    let storage = Storage::new();
    let first = lease::acquire(&storage.database).unwrap();
    let answer = lease::acquire(&storage.database).map(|lease| lease.epoch());
    assert!(
        matches!(answer, Err(LeaseError::Held { ref holder }) if holder.starts_with("process ")),
        "{answer:?}"
    );
    let epoch = first.epoch();
    first.release().unwrap();
    assert_eq!(lease::acquire(&storage.database).unwrap().epoch(), epoch + 1);
}

#[test]
fn a_lost_lease_is_renewed_unless_another_took_it() {
    let mut storage = Storage::new();
    let mut lease = lease::acquire(&storage.database).unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid, 9000)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(lease.is_held());
    storage.number(cut);
    assert!(!lease.is_held());
    lease.renew(&storage.database).unwrap();
    assert!(lease.is_held());
    storage.number(cut);
    let _other = lease::acquire(&storage.database).unwrap();
    assert!(matches!(lease.renew(&storage.database), Err(LeaseError::Held { .. })));
}
