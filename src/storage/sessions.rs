//! Who is signed in to the dashboard, and the links that sign in once. Only keyed hashes of cookies and links are
//! stored. A session that is over, idle for too long, or whose key is revoked is not found: it fails closed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::{merchants, secret_keys};
use super::{StorageError, column};
use crate::domain::credential::KeyHash;
use crate::domain::ids::{MerchantId, SecretKeyId, WalletId};

diesel::table! {
    dashboard_sessions (hash) {
        hash -> Binary,
        merchant_id -> Uuid,
        secret_key_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    dashboard_links (hash) {
        hash -> Binary,
        merchant_id -> Uuid,
        expires_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(dashboard_sessions, merchants);
diesel::allow_tables_to_appear_in_same_query!(dashboard_sessions, secret_keys);
diesel::allow_tables_to_appear_in_same_query!(merchants, secret_keys);

/// How long a session lasts at most, in milliseconds.
pub const LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
/// How long it lasts without being used.
pub const IDLE_MS: i64 = 12 * 3_600_000;
/// How often its use is written down.
const TOUCHED_EVERY_MS: i64 = 300_000;

/// A session to be opened.
#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    pub hash: KeyHash,
    pub merchant_id: MerchantId,
    /// `None`: it is opened by a link.
    pub secret_key_id: Option<SecretKeyId>,
    /// The session that this browser had before, which ends.
    pub replaces: Option<KeyHash>,
    pub now_ms: i64,
}

/// Whether a look at a session counts as its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Somebody asked for something.
    Counts,
    /// An open page asks by itself.
    DoesNotCount,
}

/// A session that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub merchant_id: MerchantId,
    pub merchant_name: String,
    pub default_wallet_id: WalletId,
    pub secret_key_id: Option<SecretKeyId>,
    pub created_at_ms: i64,
}

/// Opens a session, and forgets those that are over.
pub fn open(connection: &mut PgConnection, new: NewSession) -> Result<(), StorageError> {
    let now = column::instant(new.now_ms);
    diesel::delete(dashboard_sessions::table.filter(dashboard_sessions::expires_at.lt(now))).execute(connection)?;
    if let Some(replaced) = &new.replaces {
        close(connection, replaced)?;
    }
    diesel::insert_into(dashboard_sessions::table)
        .values((
            dashboard_sessions::hash.eq(new.hash.to_vec()),
            dashboard_sessions::merchant_id.eq(new.merchant_id.uuid()),
            dashboard_sessions::secret_key_id.eq(new.secret_key_id.map(SecretKeyId::uuid)),
            dashboard_sessions::created_at.eq(now),
            dashboard_sessions::last_seen_at.eq(now),
            dashboard_sessions::expires_at.eq(column::instant(new.now_ms.saturating_add(LIFETIME_MS))),
        ))
        .execute(connection)?;
    Ok(())
}

/// The session behind a cookie; its use is written down now and then.
pub fn find(
    connection: &mut PgConnection,
    hash: &KeyHash,
    usage: Use,
    now_ms: i64,
) -> Result<SessionRow, StorageError> {
    let (now, idle) = (column::instant(now_ms), column::instant(now_ms.saturating_sub(IDLE_MS)));
    let holds = dashboard_sessions::expires_at
        .gt(now)
        .and(dashboard_sessions::last_seen_at.gt(idle));
    let is_revoked = diesel::dsl::exists(
        secret_keys::table.filter(
            secret_keys::id
                .nullable()
                .eq(dashboard_sessions::secret_key_id)
                .and(secret_keys::revoked_at.is_not_null()),
        ),
    );
    let found: StoredSession = dashboard_sessions::table
        .inner_join(merchants::table.on(merchants::id.eq(dashboard_sessions::merchant_id)))
        .filter(dashboard_sessions::hash.eq(hash.to_vec()))
        .filter(holds)
        .filter(diesel::dsl::not(is_revoked))
        .select((
            merchants::id,
            merchants::name,
            merchants::default_wallet_id,
            dashboard_sessions::secret_key_id,
            dashboard_sessions::created_at,
            dashboard_sessions::last_seen_at,
        ))
        .first(connection)?;
    let is_due = found.last_seen_at < column::instant(now_ms.saturating_sub(TOUCHED_EVERY_MS));
    if usage == Use::Counts && is_due {
        diesel::update(dashboard_sessions::table.find(hash.to_vec()))
            .set(dashboard_sessions::last_seen_at.eq(now))
            .execute(connection)?;
    }
    Ok(found.into())
}

/// Ends a session; one that is not there is over already.
pub fn close(connection: &mut PgConnection, hash: &KeyHash) -> Result<(), StorageError> {
    diesel::delete(dashboard_sessions::table.find(hash.to_vec())).execute(connection)?;
    Ok(())
}

/// Ends every session of a merchant, and the links that would open others; how many sessions there were.
pub fn close_all(connection: &mut PgConnection, merchant: MerchantId) -> Result<usize, StorageError> {
    connection.transaction(|connection| {
        diesel::delete(dashboard_links::table.filter(dashboard_links::merchant_id.eq(merchant.uuid())))
            .execute(connection)?;
        let own = dashboard_sessions::table.filter(dashboard_sessions::merchant_id.eq(merchant.uuid()));
        Ok(diesel::delete(own).execute(connection)?)
    })
}

/// Keeps a link until `expires_at_ms`, and forgets those that are over.
pub fn create_link(
    connection: &mut PgConnection,
    hash: &KeyHash,
    merchant: MerchantId,
    lifetime: LinkLifetime,
) -> Result<(), StorageError> {
    let now = column::instant(lifetime.now_ms);
    diesel::delete(dashboard_links::table.filter(dashboard_links::expires_at.lt(now))).execute(connection)?;
    diesel::insert_into(dashboard_links::table)
        .values((
            dashboard_links::hash.eq(hash.to_vec()),
            dashboard_links::merchant_id.eq(merchant.uuid()),
            dashboard_links::expires_at.eq(column::instant(lifetime.expires_at_ms)),
        ))
        .execute(connection)?;
    Ok(())
}

/// From when to when a link holds, in unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct LinkLifetime {
    pub now_ms: i64,
    pub expires_at_ms: i64,
}

/// Takes a link, which nobody can take again: whose it is.
pub fn take_link(connection: &mut PgConnection, hash: &KeyHash, now_ms: i64) -> Result<MerchantId, StorageError> {
    let taken = diesel::delete(
        dashboard_links::table
            .find(hash.to_vec())
            .filter(dashboard_links::expires_at.gt(column::instant(now_ms))),
    );
    let merchant: Uuid = taken.returning(dashboard_links::merchant_id).get_result(connection)?;
    Ok(MerchantId::from_uuid(merchant))
}

#[derive(Queryable)]
struct StoredSession {
    merchant_id: Uuid,
    merchant_name: String,
    default_wallet_id: Uuid,
    secret_key_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
}

impl From<StoredSession> for SessionRow {
    fn from(row: StoredSession) -> Self {
        Self {
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            merchant_name: row.merchant_name,
            default_wallet_id: WalletId::from_uuid(row.default_wallet_id),
            secret_key_id: row.secret_key_id.map(SecretKeyId::from_uuid),
            created_at_ms: row.created_at.timestamp_millis(),
        }
    }
}
