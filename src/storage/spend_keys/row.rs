//! The rows of spend keys and of their counters, and how they become domain values and back.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use ipnet::IpNet;
use uuid::Uuid;

use super::super::schema::{spend_key_counters, spend_keys};
use super::super::{StorageError, column};
use super::{PreviousSecret, SpendKeyRow};
use crate::domain::cycle::Cycle;
use crate::domain::ids::{MerchantId, SpendKeyId, WalletId};
use crate::domain::key::{Enforcement, KeySettings, KeyStatus, OnDisconnect, RequestLimit, RequestShape, SpendLimit};
use crate::domain::money::Money;
use crate::domain::rate::RateLimit;
use crate::domain::spend::StoredCounters;

const NOUN: &str = "spend key";

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = spend_keys, treat_none_as_null = true, check_for_backend(diesel::pg::Pg))]
pub struct StoredSpendKey {
    id: Uuid,
    merchant_id: Uuid,
    wallet_id: Uuid,
    name: String,
    hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    grace_until: Option<DateTime<Utc>>,
    preview: String,
    secret_version: i64,
    status: String,
    request_shape: String,
    allowed_models: Option<Vec<String>>,
    allowed_providers: Option<Vec<String>>,
    allowed_ips: Option<Vec<String>>,
    spend_limit: Option<i64>,
    spend_cycle: Option<String>,
    request_limit: Option<i64>,
    request_cycle: Option<String>,
    rate_rpm: Option<i64>,
    rate_burst: Option<i64>,
    max_parallel: Option<i64>,
    enforcement: String,
    on_disconnect: String,
    timezone: String,
    tags: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<&SpendKeyRow> for StoredSpendKey {
    fn from(row: &SpendKeyRow) -> Self {
        let settings = &row.settings;
        let rate = settings.rate_limit;
        let ips = settings.allowed_ips.as_ref();
        Self {
            id: settings.id.uuid(),
            merchant_id: settings.merchant_id.uuid(),
            wallet_id: settings.wallet_id.uuid(),
            name: settings.name.as_ref().to_owned(),
            hash: row.hash.to_vec(),
            previous_hash: row.previous.map(|previous| previous.hash.to_vec()),
            grace_until: row.previous.map(|previous| column::instant(previous.until_ms)),
            preview: row.preview.clone(),
            secret_version: settings.secret_version.into(),
            status: settings.status.name().to_owned(),
            request_shape: settings.request_shape.name().to_owned(),
            allowed_models: settings.allowed_models.clone(),
            allowed_providers: settings.allowed_providers.clone(),
            allowed_ips: ips.map(|list| list.iter().map(IpNet::to_string).collect()),
            spend_limit: settings.spend_limit.map(|limit| limit.amount.nanos()),
            spend_cycle: settings.spend_limit.map(|limit| limit.cycle.name().to_owned()),
            request_limit: settings.request_limit.map(|limit| column::count_column(limit.count)),
            request_cycle: settings.request_limit.map(|limit| limit.cycle.name().to_owned()),
            rate_rpm: rate.map(|rate| rate.rpm.into()),
            rate_burst: rate.and_then(|rate| rate.burst).map(i64::from),
            max_parallel: settings.max_parallel.map(i64::from),
            enforcement: settings.enforcement.name().to_owned(),
            on_disconnect: settings.on_disconnect.name().to_owned(),
            timezone: settings.timezone.name().to_owned(),
            tags: row.tags.clone(),
            expires_at: settings.expires_at_ms.map(column::instant),
            created_at: column::instant(row.created_at_ms),
        }
    }
}

impl TryFrom<StoredSpendKey> for SpendKeyRow {
    type Error = StorageError;

    fn try_from(mut stored: StoredSpendKey) -> Result<Self, StorageError> {
        let until_ms = stored.grace_until.map(|until| until.timestamp_millis());
        let previous = match (stored.previous_hash.take(), until_ms) {
            (Some(bytes), Some(until_ms)) => Some(PreviousSecret {
                hash: column::hash(NOUN, &bytes)?,
                until_ms,
            }),
            (None, _) | (_, None) => None,
        };
        Ok(Self {
            tags: stored.tags.take(),
            hash: column::hash(NOUN, &stored.hash)?,
            previous,
            preview: std::mem::take(&mut stored.preview),
            created_at_ms: stored.created_at.timestamp_millis(),
            settings: stored.settings()?,
        })
    }
}

impl StoredSpendKey {
    fn settings(self) -> Result<KeySettings, StorageError> {
        Ok(KeySettings {
            id: SpendKeyId::from_uuid(self.id),
            merchant_id: MerchantId::from_uuid(self.merchant_id),
            wallet_id: WalletId::from_uuid(self.wallet_id),
            secret_version: column::count(NOUN, self.secret_version)?,
            status: column::word(NOUN, &self.status, KeyStatus::from_name)?,
            request_shape: column::word(NOUN, &self.request_shape, RequestShape::from_name)?,
            allowed_ips: self.allowed_ips.as_deref().map(networks).transpose()?,
            spend_limit: spend_limit(self.spend_limit, self.spend_cycle.as_deref())?,
            request_limit: request_limit(self.request_limit, self.request_cycle.as_deref())?,
            rate_limit: rate_limit(self.rate_rpm, self.rate_burst)?,
            max_parallel: self.max_parallel.map(|count| column::count(NOUN, count)).transpose()?,
            enforcement: column::word(NOUN, &self.enforcement, Enforcement::from_name)?,
            on_disconnect: column::word(NOUN, &self.on_disconnect, OnDisconnect::from_name)?,
            timezone: column::word(NOUN, &self.timezone, |name| name.parse::<Tz>().ok())?,
            expires_at_ms: self.expires_at.map(|at| at.timestamp_millis()),
            allowed_models: self.allowed_models,
            allowed_providers: self.allowed_providers,
            name: Arc::from(self.name),
        })
    }
}

fn networks(texts: &[String]) -> Result<Vec<IpNet>, StorageError> {
    texts
        .iter()
        .map(|text| column::word(NOUN, text, |text| text.parse().ok()))
        .collect()
}

fn spend_limit(nanos: Option<i64>, cycle: Option<&str>) -> Result<Option<SpendLimit>, StorageError> {
    let (Some(nanos), Some(cycle)) = (nanos, cycle) else {
        return Ok(None);
    };
    let cycle = column::word(NOUN, cycle, column::cycle)?;
    Ok(Some(SpendLimit {
        amount: Money::from_nanos(nanos),
        cycle,
    }))
}

fn request_limit(count: Option<i64>, cycle: Option<&str>) -> Result<Option<RequestLimit>, StorageError> {
    let (Some(count), Some(cycle)) = (count, cycle) else {
        return Ok(None);
    };
    let cycle = column::word(NOUN, cycle, column::cycle)?;
    Ok(Some(RequestLimit {
        count: column::count(NOUN, count)?,
        cycle,
    }))
}

fn rate_limit(rpm: Option<i64>, burst: Option<i64>) -> Result<Option<RateLimit>, StorageError> {
    let Some(rpm) = rpm else { return Ok(None) };
    let burst = burst.map(|burst| column::count(NOUN, burst)).transpose()?;
    Ok(Some(RateLimit {
        rpm: column::count(NOUN, rpm)?,
        burst,
    }))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = spend_key_counters, check_for_backend(diesel::pg::Pg))]
pub struct StoredCounterRow {
    day_start: i64,
    day_spend: i64,
    day_requests: i64,
    week_start: i64,
    week_spend: i64,
    week_requests: i64,
    month_start: i64,
    month_spend: i64,
    month_requests: i64,
    total_spend: i64,
    total_requests: i64,
    last_used_at: DateTime<Utc>,
}

impl From<StoredCounterRow> for StoredCounters {
    fn from(row: StoredCounterRow) -> Self {
        let window = |cycle: Cycle| {
            let (start, spend, requests) = match cycle {
                Cycle::Daily => (row.day_start, row.day_spend, row.day_requests),
                Cycle::Weekly => (row.week_start, row.week_spend, row.week_requests),
                Cycle::Monthly => (row.month_start, row.month_spend, row.month_requests),
                Cycle::Total => (0, row.total_spend, row.total_requests),
            };
            // A CHECK keeps counts from being negative.
            (start, Money::from_nanos(spend), requests.unsigned_abs())
        };
        Self {
            windows: Cycle::ALL.map(window),
            last_used_ms: Some(row.last_used_at.timestamp_millis()),
        }
    }
}
