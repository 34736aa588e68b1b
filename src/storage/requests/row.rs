//! The row of a request, and how it becomes a domain value.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::super::{StorageError, column};
use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId, WalletId};
use crate::domain::money::Money;
use crate::domain::request::{ChargePart, Outcome, ProviderKeyType, UsageSource};
use crate::domain::usage::{COUNTS, RARE_NAMES, USUAL_COUNT, Usage};

const NOUN: &str = "request";

/// One row of usage.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRow {
    pub id: RequestId,
    /// The first attempt, where this was a later one of the same call.
    pub attempt_of: Option<RequestId>,
    pub merchant_id: MerchantId,
    pub wallet_id: WalletId,
    pub spend_key_id: Option<SpendKeyId>,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    /// The caller's own id of a request that he reported.
    pub caller_id: Option<String>,
    pub provider: String,
    pub model: Option<String>,
    /// `METHOD url`.
    pub endpoint: String,
    pub provider_key_type: ProviderKeyType,
    pub streaming: bool,
    pub simulated: bool,
    pub outcome: Outcome,
    pub http_status: u16,
    pub usage_source: UsageSource,
    pub usage: Usage,
    pub cost: Money,
    pub input_cost: Money,
    pub output_cost: Money,
    /// What the customer pays.
    pub charge: Money,
    /// By tier, where a customer was charged.
    pub charge_parts: Option<Vec<ChargePart>>,
    pub price_version: u32,
    /// A JSON object of strings.
    pub metadata: Option<Value>,
    /// The provider's own id.
    pub response_id: Option<String>,
    pub admitted_at_ms: i64,
    pub finished_at_ms: i64,
    /// When its first token came, in milliseconds after the admission; `None` where it did not stream.
    pub first_token_ms: Option<u64>,
    /// What was held at the admission; `None` where nothing was, or nobody wrote it down.
    pub hold: Option<Money>,
}

impl RequestRow {
    /// From the admission to the end; `None` where nobody knows when it ended, or no call was made.
    pub fn duration_ms(&self) -> Option<u64> {
        match self.usage_source {
            UsageSource::CrashEstimate | UsageSource::Reported => None,
            UsageSource::Provider | UsageSource::Partial | UsageSource::Estimated | UsageSource::None => {
                u64::try_from(self.finished_at_ms.saturating_sub(self.admitted_at_ms)).ok()
            }
        }
    }
}

#[derive(QueryableByName)]
pub struct StoredRequest {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    attempt_of: Option<Uuid>,
    #[diesel(sql_type = SqlUuid)]
    merchant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    wallet_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    spend_key_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    customer_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    meter_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    caller_id: Option<String>,
    #[diesel(sql_type = Text)]
    provider: String,
    #[diesel(sql_type = Nullable<Text>)]
    model: Option<String>,
    #[diesel(sql_type = Text)]
    endpoint: String,
    #[diesel(sql_type = Text)]
    provider_key_type: String,
    #[diesel(sql_type = Bool)]
    streaming: bool,
    #[diesel(sql_type = Bool)]
    simulated: bool,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Integer)]
    http_status: i32,
    #[diesel(sql_type = Text)]
    usage_source: String,
    #[diesel(embed)]
    usage: StoredUsage,
    #[diesel(sql_type = BigInt)]
    cost: i64,
    #[diesel(sql_type = BigInt)]
    input_cost: i64,
    #[diesel(sql_type = BigInt)]
    output_cost: i64,
    #[diesel(sql_type = BigInt)]
    charge: i64,
    #[diesel(sql_type = Nullable<Jsonb>)]
    charge_detail: Option<Value>,
    #[diesel(sql_type = BigInt)]
    price_version: i64,
    #[diesel(sql_type = Nullable<Jsonb>)]
    metadata: Option<Value>,
    #[diesel(sql_type = Nullable<Text>)]
    response_id: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    admitted_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    finished_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<BigInt>)]
    first_token_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    hold: Option<i64>,
}

#[derive(QueryableByName)]
struct StoredUsage {
    #[diesel(sql_type = BigInt)]
    input_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cache_read_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cache_write_1h_tokens: i64,
    #[diesel(sql_type = BigInt)]
    output_tokens: i64,
    #[diesel(sql_type = BigInt)]
    reasoning_tokens: i64,
    #[diesel(sql_type = BigInt)]
    audio_input_tokens: i64,
    #[diesel(sql_type = BigInt)]
    audio_output_tokens: i64,
    #[diesel(sql_type = BigInt)]
    web_searches: i64,
    #[diesel(sql_type = Nullable<Jsonb>)]
    rare_usage: Option<Value>,
}

impl TryFrom<StoredRequest> for RequestRow {
    type Error = StorageError;

    fn try_from(row: StoredRequest) -> Result<Self, StorageError> {
        let key_type = |word: &str| coded(ProviderKeyType::from_code, ProviderKeyType::name, word);
        let outcome = |word: &str| coded(Outcome::from_code, Outcome::name, word);
        let source = |word: &str| coded(UsageSource::from_code, UsageSource::name, word);
        Ok(Self {
            id: RequestId::from_uuid(row.id),
            attempt_of: row.attempt_of.map(RequestId::from_uuid),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            wallet_id: WalletId::from_uuid(row.wallet_id),
            spend_key_id: row.spend_key_id.map(SpendKeyId::from_uuid),
            customer_id: row.customer_id.map(CustomerId::from_uuid),
            meter_id: row.meter_id.map(MeterId::from_uuid),
            caller_id: row.caller_id,
            provider: row.provider,
            model: row.model,
            endpoint: row.endpoint,
            provider_key_type: column::word(NOUN, &row.provider_key_type, key_type)?,
            streaming: row.streaming,
            simulated: row.simulated,
            outcome: column::word(NOUN, &row.status, outcome)?,
            http_status: column::count(NOUN, row.http_status.into())?,
            usage_source: column::word(NOUN, &row.usage_source, source)?,
            usage: row.usage.into(),
            cost: Money::from_nanos(row.cost),
            input_cost: Money::from_nanos(row.input_cost),
            output_cost: Money::from_nanos(row.output_cost),
            charge: Money::from_nanos(row.charge),
            charge_parts: row.charge_detail.as_ref().map(charge_parts),
            price_version: column::count(NOUN, row.price_version)?,
            metadata: row.metadata,
            response_id: row.response_id,
            admitted_at_ms: row.admitted_at.timestamp_millis(),
            finished_at_ms: row.finished_at.timestamp_millis(),
            first_token_ms: row.first_token_ms.map(i64::unsigned_abs),
            hold: row.hold.map(Money::from_nanos),
        })
    }
}

impl From<StoredUsage> for Usage {
    /// CHECKs keep counts from being negative; a rare count that is not there is zero.
    fn from(row: StoredUsage) -> Self {
        let usual = [
            row.input_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
            row.cache_write_1h_tokens,
            row.output_tokens,
            row.reasoning_tokens,
            row.audio_input_tokens,
            row.audio_output_tokens,
            row.web_searches,
        ];
        let rare = |name: &str| row.rare_usage.as_ref()?.get(name)?.as_u64();
        let mut counts = [0; COUNTS];
        counts[..USUAL_COUNT].copy_from_slice(&usual.map(i64::unsigned_abs));
        for (count, name) in counts[USUAL_COUNT..].iter_mut().zip(RARE_NAMES) {
            *count = rare(name).unwrap_or(0);
        }
        Self::from_array(counts)
    }
}

/// The parts of a charge, as the writer stored them.
fn charge_parts(detail: &Value) -> Vec<ChargePart> {
    let part = |part: &Value| ChargePart {
        start: part["start"].as_u64().unwrap_or(0),
        rate_nanos: part["rate"].as_i64().unwrap_or(0),
        quantity: part["quantity"].as_u64().unwrap_or(0),
        cost: Money::from_nanos(part["cost"].as_i64().unwrap_or(0)),
    };
    let parts = detail["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().map(part).collect()
}

/// The value with this word, of an enum whose codes run from zero without a gap.
fn coded<T: Copy>(from_code: impl Fn(u8) -> Option<T>, name: impl Fn(T) -> &'static str, word: &str) -> Option<T> {
    (0..=u8::MAX).map_while(from_code).find(|value| name(*value) == word)
}
