//! The rows of idempotency keys: who gets a key, what its row says, and when it is gone.

use caldera::storage::idempotency::{self, Claim, PRUNED_AT_ONCE, Place};

use super::fixtures::{NOON_MS, Storage, hash};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[test]
fn a_key_is_new_once_a_day_and_says_what_it_stood_on() {
    let mut storage = Storage::new();
    let place = Place {
        merchant_id: storage.tenant().merchant,
        key_hash: hash(),
    };
    let stranger = Place {
        merchant_id: storage.tenant().merchant,
        ..place
    };
    let db = &mut storage.connection;
    let mut claim = |place, fingerprint, now_ms| idempotency::claim(db, place, [fingerprint; 32], now_ms).unwrap();
    assert_eq!(claim(place, 1, NOON_MS), Claim::New);
    assert_eq!(claim(place, 1, NOON_MS), Claim::Unanswered);
    assert_eq!(claim(stranger, 2, NOON_MS), Claim::New);
    assert_eq!(claim(place, 2, NOON_MS), Claim::OtherRequest);
    assert_eq!(claim(place, 1, NOON_MS + DAY_MS), Claim::Unanswered);
    assert_eq!(claim(place, 2, NOON_MS + DAY_MS + 1), Claim::New);
    let db = &mut storage.connection;
    idempotency::answer(db, place, b"sealed").unwrap();
    let answered = idempotency::claim(db, place, [2; 32], NOON_MS + DAY_MS + 1).unwrap();
    assert_eq!(answered, Claim::Answered(b"sealed".to_vec()));
    idempotency::release(db, place).unwrap();
    let again = idempotency::claim(db, place, [3; 32], NOON_MS).unwrap();
    assert_eq!(again, Claim::New);
}

#[test]
fn rows_that_are_a_day_old_go_in_batches() {
    let mut storage = Storage::new();
    let merchant_id = storage.tenant().merchant;
    let db = &mut storage.connection;
    for number in 0..PRUNED_AT_ONCE + 2 {
        let age_ms = if number == 0 { 0 } else { DAY_MS + 1 };
        let place = Place {
            merchant_id,
            key_hash: hash(),
        };
        idempotency::claim(db, place, [1; 32], NOON_MS - age_ms).unwrap();
    }
    let mut prune = || idempotency::prune(db, NOON_MS).unwrap();
    assert_eq!([prune(), prune(), prune()], [PRUNED_AT_ONCE, 1, 0]);
    assert_eq!(storage.number("SELECT COUNT(*) FROM idempotency_keys"), 1);
}
