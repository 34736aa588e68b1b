//! No query answers for what belongs to another merchant, nor a wallet's key for another wallet.

use std::convert::Infallible;

use caldera::domain::account::Funding;
use caldera::domain::ids::{SecretKeyId, WalletId, WalletKeyId};
use caldera::engine::ports::BatchSink;
use caldera::storage::keys::{self, NewSecret, Owner, SecretKeyRow, WalletKeyRow};
use caldera::storage::merchants::pin_instance_value;
use caldera::storage::page::PageRequest;
use caldera::storage::requests::{self, RequestFilter};
use caldera::storage::usage::{self, UsagePeriod};
use caldera::storage::writer::PgSink;
use caldera::storage::{StorageError, lease, merchants, replica, spend_keys, wallets};

use super::fixtures::{NOON_MS, Storage, Tenant, batch, bits, hash, settled};

const PAGE: PageRequest = PageRequest { after: None, limit: 10 };

fn secret_key(tenant: Tenant) -> SecretKeyRow {
    let id = SecretKeyId::from_bits(bits());
    let (name, hint) = ("a secret key".to_owned(), "abcd".to_owned());
    SecretKeyRow {
        id,
        merchant_id: tenant.merchant,
        name,
        hash: hash(),
        hint,
        created_at_ms: id.created_ms(),
    }
}

fn wallet_key(tenant: Tenant) -> WalletKeyRow {
    let id = WalletKeyId::from_bits(bits());
    WalletKeyRow {
        id,
        merchant_id: tenant.merchant,
        wallet_id: tenant.wallet,
        name: "a wallet key".to_owned(),
        hash: hash(),
        preview: "lava_wk_00000000****".to_owned(),
        last_used_ms: None,
        created_at_ms: id.created_ms(),
    }
}

fn new_secret() -> NewSecret {
    NewSecret {
        hash: hash(),
        preview: "lava_wk_11111111****".to_owned(),
    }
}

fn is_missing<T>(answer: Result<T, StorageError>) -> bool {
    matches!(answer, Err(StorageError::NotFound))
}

#[test]
fn a_key_answers_neither_another_merchant_nor_another_wallet() {
    let mut storage = Storage::new();
    let (owner, stranger) = (storage.tenant(), storage.tenant());
    let key = storage.spend_key(owner).settings.id;
    let wallet_key = wallet_key(owner);
    let db = &mut storage.connection;
    keys::create_wallet(db, &wallet_key).unwrap();
    let other_wallet = wallets::NewWallet {
        id: WalletId::from_bits(bits()),
        merchant_id: owner.merchant,
        funding: Funding::Prepaid,
    };
    wallets::create(db, other_wallet).unwrap();
    let other_wallet_only = Owner {
        wallet_id: Some(other_wallet.id),
        ..owner.owner()
    };
    for scope in [stranger.owner(), other_wallet_only] {
        let edit = Ok::<_, Infallible>;
        assert!(is_missing(spend_keys::find(db, scope, key)));
        assert!(is_missing(spend_keys::update(db, scope, key, edit)));
        let rotation = spend_keys::rotate(db, scope, key, new_secret(), None);
        assert!(is_missing(rotation));
        assert!(is_missing(spend_keys::revoke(db, scope, key)));
        let listed = spend_keys::list(db, scope, PAGE).unwrap();
        assert!(listed.rows.is_empty());
        let id = wallet_key.id;
        assert!(is_missing(keys::rotate_wallet(db, scope, id, &new_secret())));
        assert!(is_missing(keys::revoke_wallet(db, scope, id)));
        let listed = keys::list_wallet(db, scope, PAGE).unwrap();
        assert!(listed.rows.is_empty());
    }
    let own = spend_keys::list(db, owner.owner(), PAGE).unwrap();
    assert_eq!(own.rows.len(), 1);
}

#[test]
fn a_merchants_wallets_and_secret_keys_are_his_alone() {
    let mut storage = Storage::new();
    let (owner, stranger) = (storage.tenant(), storage.tenant());
    let secret = secret_key(owner);
    let db = &mut storage.connection;
    keys::create_secret(db, &secret, keys::Lasting::Always).unwrap();
    let listed = keys::list_secret(db, stranger.merchant, PAGE).unwrap();
    assert!(listed.rows.is_empty());
    let (other, wallet) = (stranger.merchant, owner.wallet);
    assert!(is_missing(keys::revoke_secret(db, other, secret.id)));
    assert!(is_missing(wallets::find(db, other, wallet)));
    let funding = wallets::set_funding(db, other, wallet, Funding::Prepaid);
    assert!(is_missing(funding));
    assert_eq!(wallets::list(db, other).unwrap().len(), 1);
    let misplaced = WalletKeyRow {
        wallet_id: stranger.wallet,
        ..wallet_key(owner)
    };
    assert!(is_missing(keys::create_wallet(db, &misplaced)));
    let mut misplaced = super::fixtures::spend_key(owner);
    misplaced.settings.wallet_id = stranger.wallet;
    assert!(spend_keys::insert(db, &misplaced).is_err());
}

#[test]
fn nobody_reads_anothers_requests_or_usage() {
    let mut storage = Storage::new();
    let (owner, stranger) = (storage.tenant(), storage.tenant());
    let lease = lease::acquire(&storage.database).unwrap();
    let record = settled(owner, None, 1);
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(vec![record.clone()]))
        .unwrap();
    let connection = &mut storage.connection;
    let (filter, period) = (
        RequestFilter::default(),
        UsagePeriod {
            start_ms: 0,
            end_ms: 2 * NOON_MS,
            utc_offset_s: 0,
        },
    );
    for (tenant, count) in [(owner, 1), (stranger, 0)] {
        assert_eq!(
            requests::find(connection, tenant.merchant, record.0.id).is_ok(),
            count == 1
        );
        assert_eq!(
            requests::list(connection, tenant.merchant, &filter, PAGE)
                .unwrap()
                .rows
                .len(),
            count
        );
        assert_eq!(
            usage::by_day(connection, tenant.merchant, period, &filter)
                .unwrap()
                .days
                .len(),
            count
        );
    }
}

#[test]
fn keys_that_manage_live_until_they_are_revoked() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let (secret, wallet_key) = (secret_key(tenant), wallet_key(tenant));
    let connection = &mut storage.connection;
    keys::create_secret(connection, &secret, keys::Lasting::Always).unwrap();
    keys::create_wallet(connection, &wallet_key).unwrap();
    assert_eq!(
        keys::list_secret(connection, tenant.merchant, PAGE).unwrap().rows,
        std::slice::from_ref(&secret)
    );
    let (rotated, ended) = keys::rotate_wallet(connection, tenant.owner(), wallet_key.id, &new_secret()).unwrap();
    assert_eq!((ended, rotated.id), (wallet_key.hash, wallet_key.id));
    keys::save_last_used(connection, &[(wallet_key.id, NOON_MS), (wallet_key.id, 5)]).unwrap();
    let listed = keys::list_wallet(connection, tenant.owner(), PAGE).unwrap().rows;
    assert_eq!((listed[0].last_used_ms, listed[0].hash), (Some(NOON_MS), rotated.hash));
    let replica = replica::load(connection).unwrap();
    assert_eq!(
        (replica.secret_keys[0].0, replica.wallet_keys[0].0),
        (secret.hash, rotated.hash)
    );
    assert_eq!(
        keys::revoke_secret(connection, tenant.merchant, secret.id).unwrap(),
        secret
    );
    assert_eq!(
        keys::revoke_wallet(connection, tenant.owner(), wallet_key.id)
            .unwrap()
            .hash,
        rotated.hash
    );
    let replica = replica::load(connection).unwrap();
    assert_eq!((replica.secret_keys.len(), replica.wallet_keys.len()), (0, 0));
    assert!(is_missing(keys::revoke_wallet(
        connection,
        tenant.owner(),
        wallet_key.id
    )));
}

#[test]
fn a_merchant_comes_with_his_wallet_and_a_pinned_value_stays() {
    let mut storage = Storage::new();
    assert!(merchants::is_empty(&mut storage.connection).unwrap());
    let tenant = storage.tenant();
    let connection = &mut storage.connection;
    assert!(!merchants::is_empty(connection).unwrap());
    let found = merchants::find(connection, tenant.merchant).unwrap();
    assert_eq!(found.default_wallet_id, tenant.wallet);
    assert_eq!(merchants::list(connection).unwrap(), [found]);
    let wallet = wallets::set_funding(connection, tenant.merchant, tenant.wallet, Funding::Prepaid).unwrap();
    assert_eq!(
        wallets::find(connection, tenant.merchant, tenant.wallet).unwrap(),
        wallet
    );
    assert_eq!(merchants::find_instance_value(connection, "pepper").unwrap(), None);
    for value in ["first", "second"] {
        assert_eq!(pin_instance_value(connection, "pepper", value).unwrap(), "first");
    }
    assert_eq!(
        merchants::find_instance_value(connection, "pepper").unwrap().as_deref(),
        Some("first")
    );
}
