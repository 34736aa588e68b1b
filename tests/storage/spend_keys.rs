//! Spend keys in the tables: every field comes back, edits are whole, secrets end when they should.

use std::convert::Infallible;

use caldera::domain::cycle::Cycle;
use caldera::domain::ids::RequestId;
use caldera::domain::key::{Enforcement, KeyStatus, OnDisconnect, RequestLimit, RequestShape, SpendLimit};
use caldera::domain::money::Money;
use caldera::domain::rate::RateLimit;
use caldera::engine::ports::BatchSink;
use caldera::storage::keys::NewSecret;
use caldera::storage::page::PageRequest;
use caldera::storage::spend_keys::{self, Editable, PreviousSecret};
use caldera::storage::writer::PgSink;
use caldera::storage::{StorageError, lease, replica};

use super::fixtures::{NOON_MS, Storage, batch, hash, settled, spend_key};

#[test]
fn every_field_of_a_key_comes_back() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let mut row = spend_key(tenant);
    let settings = &mut row.settings;
    settings.name = "ключ ✓".into();
    settings.status = KeyStatus::Paused;
    settings.request_shape = RequestShape::Anthropic;
    settings.allowed_models = Some(vec!["claude-*".to_owned(), "a,\"b\"{}".to_owned()]);
    settings.allowed_providers = Some(vec!["anthropic".to_owned()]);
    settings.allowed_ips = Some(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    settings.spend_limit = Some(SpendLimit {
        amount: Money::from_nanos(1),
        cycle: Cycle::Weekly,
    });
    settings.request_limit = Some(RequestLimit {
        count: 9,
        cycle: Cycle::Total,
    });
    settings.rate_limit = Some(RateLimit {
        rpm: 60,
        burst: Some(3),
    });
    settings.max_parallel = Some(4);
    settings.enforcement = Enforcement::Strict;
    settings.on_disconnect = OnDisconnect::Cancel;
    settings.timezone = chrono_tz::Tz::Europe__Berlin;
    settings.expires_at_ms = Some(NOON_MS + 1);
    row.tags = Some(vec!["blue".to_owned()]);
    row.previous = Some(PreviousSecret {
        hash: hash(),
        until_ms: NOON_MS,
    });
    spend_keys::insert(&mut storage.connection, &row).unwrap();
    assert_eq!(
        spend_keys::find(&mut storage.connection, tenant.owner(), row.settings.id).unwrap(),
        row
    );
    assert!(matches!(
        spend_keys::insert(&mut storage.connection, &row),
        Err(StorageError::Conflict { .. })
    ));
}

#[test]
fn an_edit_clears_what_it_clears_and_keeps_what_it_may_not_change() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let mut row = spend_key(tenant);
    row.settings.spend_limit = Some(SpendLimit {
        amount: Money::from_nanos(5),
        cycle: Cycle::Daily,
    });
    row.tags = Some(vec!["old".to_owned()]);
    spend_keys::insert(&mut storage.connection, &row).unwrap();
    let edit = |mut key: Editable| {
        key.settings.spend_limit = None;
        key.settings.secret_version = 99;
        key.tags = None;
        Ok::<_, Infallible>(key)
    };
    let id = row.settings.id;
    let edited = spend_keys::update(&mut storage.connection, tenant.owner(), id, edit)
        .unwrap()
        .unwrap();
    row.settings.spend_limit = None;
    row.tags = None;
    assert_eq!(edited, row);
    assert_eq!(
        spend_keys::find(&mut storage.connection, tenant.owner(), id).unwrap(),
        row
    );
    let refusal = spend_keys::update(&mut storage.connection, tenant.owner(), id, |_| Err("no")).unwrap();
    assert_eq!(refusal, Err("no"));
}

#[test]
fn edits_at_once_lose_nothing_of_each_other() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let id = storage.spend_key(tenant).settings.id;
    std::thread::scope(|scope| {
        for number in 0..8 {
            let mut connection = storage.database.connect_alone().unwrap();
            scope.spawn(move || {
                let tag = |mut key: Editable| {
                    key.tags.get_or_insert_default().push(format!("tag {number}"));
                    Ok::<_, Infallible>(key)
                };
                spend_keys::update(&mut connection, tenant.owner(), id, tag)
                    .unwrap()
                    .unwrap();
            });
        }
    });
    let row = spend_keys::find(&mut storage.connection, tenant.owner(), id).unwrap();
    assert_eq!(row.tags.map(|tags| tags.len()), Some(8));
}

#[test]
fn a_rotation_ends_every_secret_but_the_graced_one() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let row = storage.spend_key(tenant);
    let (id, first) = (row.settings.id, row.hash);
    let mut rotate = |secret, grace| {
        let secret = NewSecret {
            hash: secret,
            preview: "lava_sk_11111111****".to_owned(),
        };
        spend_keys::rotate(&mut storage.connection, tenant.owner(), id, secret, grace).unwrap()
    };
    let (second, third) = (hash(), hash());
    let graced = rotate(second, Some(NOON_MS));
    assert_eq!((graced.ended, graced.row.hash), (vec![], second));
    assert_eq!(
        graced.row.previous,
        Some(PreviousSecret {
            hash: first,
            until_ms: NOON_MS
        })
    );
    let plain = rotate(third, None);
    assert_eq!(plain.ended, [first, second]);
    assert_eq!((plain.row.previous, plain.row.settings.secret_version), (None, 3));
    assert_eq!(
        spend_keys::find(&mut storage.connection, tenant.owner(), id).unwrap(),
        plain.row
    );
}

#[test]
fn a_revoked_key_is_gone_from_everywhere_but_the_books() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let id = storage.spend_key(tenant).settings.id;
    let revoked = spend_keys::revoke(&mut storage.connection, tenant.owner(), id).unwrap();
    assert_eq!(revoked.settings.status, KeyStatus::Revoked);
    assert!(matches!(
        spend_keys::revoke(&mut storage.connection, tenant.owner(), id),
        Err(StorageError::NotFound)
    ));
    assert!(matches!(
        spend_keys::find(&mut storage.connection, tenant.owner(), id),
        Err(StorageError::NotFound)
    ));
    assert!(replica::load(&mut storage.connection).unwrap().spend_keys.is_empty());
    // A call that was running when the key was revoked is billed all the same.
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    sink.write(&batch(vec![settled(tenant, Some(id), 1)])).unwrap();
    assert_eq!(
        spend_keys::find_counters(&mut storage.connection, id).unwrap().windows[3].2,
        1
    );
}

#[test]
fn pages_follow_each_other_newest_first_to_the_end() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let mut expected: Vec<_> = (0..7).map(|_| storage.spend_key(tenant).settings.id).collect();
    expected.reverse();
    let mut seen = Vec::new();
    let mut page = PageRequest { after: None, limit: 3 };
    loop {
        let found = spend_keys::list(&mut storage.connection, tenant.owner(), page).unwrap();
        seen.extend(found.rows.iter().map(|row| row.settings.id));
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

#[test]
fn the_replica_holds_keys_with_their_counters() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (used, unused) = (storage.spend_key(tenant), storage.spend_key(tenant));
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let record = settled(tenant, Some(used.settings.id), 42);
    assert_eq!(RequestId::from_uuid(record.0.id.uuid()), record.0.id);
    sink.write(&batch(vec![record])).unwrap();
    let replica = replica::load(&mut storage.connection).unwrap();
    let counters = |hash| {
        let key = replica.spend_keys.iter().find(|key| key.hash == hash).unwrap();
        (
            key.counters.windows[3],
            key.counters.last_used_ms,
            key.merchant.default_wallet_id,
        )
    };
    assert_eq!(
        counters(used.hash),
        ((0, Money::from_nanos(42), 1), Some(NOON_MS), tenant.wallet)
    );
    assert_eq!(counters(unused.hash), ((0, Money::ZERO, 0), None, tenant.wallet));
    assert_eq!(replica.wallets.len(), 1);
    assert_eq!(replica.wallets[0].1.balance, Money::from_nanos(-42));
}
