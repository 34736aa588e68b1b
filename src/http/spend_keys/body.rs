//! The bodies that set a spend key, read field by field. A field that is missing leaves its setting alone, null clears
//! it, and nothing is applied unless everything is valid. PUT and PATCH mean the same: the official clients send
//! partial bodies with PUT.

use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::domain::cycle::Cycle;
use crate::domain::ids::WalletId;
use crate::domain::key::{Enforcement, KeySettings, KeyStatus, OnDisconnect, RequestLimit, RequestShape, SpendLimit};
use crate::domain::rate::RateLimit;
use crate::http::error::ApiError;
use crate::http::fields::{Change, Fields, Range};

const SETTINGS: [&str; 15] = [
    "name",
    "status",
    "request_shape",
    "allowed_models",
    "allowed_providers",
    "allowed_ips",
    "spend_limit",
    "request_limit",
    "rate_limit",
    "max_parallel",
    "enforcement",
    "on_disconnect",
    "timezone",
    "expires_at",
    "tags",
];
/// Taken at creation only: what pays, and a name of an older vocabulary that nothing depends on.
const AT_CREATION: [&str; 2] = ["wallet_id", "connection_id"];
const CYCLES: [&str; 4] = ["daily", "weekly", "monthly", "total"];

const COUNT: Range = Range {
    least: 1,
    most: 1_000_000_000,
};
const PACE: Range = Range {
    least: 1,
    most: 1_000_000,
};
const PARALLEL: Range = Range {
    least: 1,
    most: 1_000_000,
};
const GRACE_S: Range = Range { least: 0, most: 86_400 };

/// What a body changes of a key's settings.
#[derive(Debug)]
pub struct SettingsChange {
    name: Option<String>,
    status: Option<KeyStatus>,
    request_shape: Option<RequestShape>,
    allowed_models: Change<Vec<String>>,
    allowed_providers: Change<Vec<String>>,
    allowed_ips: Change<Vec<IpNet>>,
    spend_limit: Change<SpendLimit>,
    request_limit: Change<RequestLimit>,
    rate_limit: Change<RateLimit>,
    max_parallel: Change<u32>,
    enforcement: Change<Enforcement>,
    on_disconnect: Change<OnDisconnect>,
    timezone: Change<Tz>,
    expires_at_ms: Change<i64>,
    pub tags: Change<Vec<String>>,
}

/// The body of a creation.
#[derive(Debug)]
pub struct Creation {
    pub name: String,
    /// `None`: the caller's own, or the merchant's default.
    pub wallet_id: Option<WalletId>,
    pub settings: SettingsChange,
}

impl Creation {
    pub fn read(body: &Map<String, Value>, now_ms: i64) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body, &[&SETTINGS[..], &AT_CREATION[..]].concat())?;
        let settings = SettingsChange::from_fields(&fields, now_ms)?;
        let name = settings
            .name
            .clone()
            .ok_or_else(|| ApiError::invalid("name", "is required"))?;
        let wallet_id = fields
            .parsed("wallet_id", "is not the id of a wallet", |text| text.parse().ok())?
            .value();
        fields.text("connection_id", 255)?;
        Ok(Self {
            name,
            wallet_id,
            settings,
        })
    }
}

impl SettingsChange {
    /// The body of an update.
    pub fn read(body: &Map<String, Value>, now_ms: i64) -> Result<Self, ApiError> {
        Self::from_fields(&Fields::of_body(body, &SETTINGS)?, now_ms)
    }

    /// Puts the change on settings.
    pub fn apply(self, settings: &mut KeySettings) {
        if let Some(name) = self.name {
            settings.name = Arc::from(name);
        }
        settings.status = self.status.unwrap_or(settings.status);
        settings.request_shape = self.request_shape.unwrap_or(settings.request_shape);
        self.allowed_models.apply(&mut settings.allowed_models);
        self.allowed_providers.apply(&mut settings.allowed_providers);
        self.allowed_ips.apply(&mut settings.allowed_ips);
        self.spend_limit.apply(&mut settings.spend_limit);
        self.request_limit.apply(&mut settings.request_limit);
        self.rate_limit.apply(&mut settings.rate_limit);
        self.max_parallel.apply(&mut settings.max_parallel);
        self.enforcement
            .apply_or(&mut settings.enforcement, Enforcement::Adaptive);
        self.on_disconnect
            .apply_or(&mut settings.on_disconnect, OnDisconnect::Drain);
        self.timezone.apply_or(&mut settings.timezone, Tz::UTC);
        self.expires_at_ms.apply(&mut settings.expires_at_ms);
    }

    fn from_fields(fields: &Fields, now_ms: i64) -> Result<Self, ApiError> {
        let statuses = [KeyStatus::Active.name(), KeyStatus::Paused.name()];
        let status = fields.word("status", &statuses, |word| {
            KeyStatus::from_name(word).filter(|status| *status != KeyStatus::Revoked)
        })?;
        let shape = fields.word("request_shape", RequestShape::WORDS, RequestShape::from_name)?;
        Ok(Self {
            name: fields.not_null("name", fields.text("name", 255)?)?,
            status: fields.not_null("status", status)?,
            request_shape: fields.not_null("request_shape", shape)?,
            allowed_models: fields.list("allowed_models", "", |text| Some(text.to_owned()))?,
            allowed_providers: fields.list("allowed_providers", "", |text| Some(text.to_owned()))?,
            allowed_ips: fields.list(
                "allowed_ips",
                "must be an address or a network such as 10.0.0.0/8",
                network,
            )?,
            spend_limit: spend_limit(fields)?,
            request_limit: request_limit(fields)?,
            rate_limit: rate_limit(fields)?,
            max_parallel: narrow(fields.integer("max_parallel", PARALLEL)?),
            enforcement: fields.word("enforcement", Enforcement::WORDS, Enforcement::from_name)?,
            on_disconnect: fields.word("on_disconnect", OnDisconnect::WORDS, OnDisconnect::from_name)?,
            timezone: fields.parsed("timezone", "must be an IANA name such as \"Europe/Berlin\"", |text| {
                text.parse().ok()
            })?,
            expires_at_ms: fields.future("expires_at", now_ms)?,
            tags: fields.list("tags", "", |text| Some(text.to_owned()))?,
        })
    }
}

/// The body of a rotation: for how many seconds the old secret goes on working.
pub fn read_grace_seconds(body: &Map<String, Value>) -> Result<u64, ApiError> {
    let fields = Fields::of_body(body, &["grace_seconds"])?;
    Ok(fields.integer("grace_seconds", GRACE_S)?.value().unwrap_or(0))
}

fn spend_limit(fields: &Fields) -> Result<Change<SpendLimit>, ApiError> {
    nested(fields.object("spend_limit", &["amount", "cycle"])?, |limit| {
        let amount = limit.required("amount", limit.amount("amount")?)?;
        Ok(SpendLimit {
            amount,
            cycle: cycle(&limit)?,
        })
    })
}

fn request_limit(fields: &Fields) -> Result<Change<RequestLimit>, ApiError> {
    nested(fields.object("request_limit", &["count", "cycle"])?, |limit| {
        let count = limit.required("count", limit.integer("count", COUNT)?)?;
        Ok(RequestLimit {
            count,
            cycle: cycle(&limit)?,
        })
    })
}

fn rate_limit(fields: &Fields) -> Result<Change<RateLimit>, ApiError> {
    nested(fields.object("rate_limit", &["rpm", "burst"])?, |limit| {
        let rpm = limit.required("rpm", narrow(limit.integer("rpm", PACE)?))?;
        Ok(RateLimit {
            rpm,
            burst: narrow(limit.integer("burst", PACE)?).value(),
        })
    })
}

fn cycle(limit: &Fields) -> Result<Cycle, ApiError> {
    let find = |word: &str| Cycle::ALL.into_iter().find(|cycle| cycle.name() == word);
    limit.required("cycle", limit.word("cycle", &CYCLES, find)?)
}

fn nested<'a, T>(
    object: Change<Fields<'a>>,
    read: impl FnOnce(Fields<'a>) -> Result<T, ApiError>,
) -> Result<Change<T>, ApiError> {
    match object {
        Change::Keep => Ok(Change::Keep),
        Change::Clear => Ok(Change::Clear),
        Change::Set(fields) => read(fields).map(Change::Set),
    }
}

/// Numbers whose range fits 32 bits.
fn narrow(change: Change<u64>) -> Change<u32> {
    match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(number) => Change::Set(u32::try_from(number).unwrap_or(u32::MAX)),
    }
}

fn network(text: &str) -> Option<IpNet> {
    let address = text
        .parse::<IpAddr>()
        .ok()
        .map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|| text.parse::<IpNet>().ok().map(|network| network.trunc()))
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
