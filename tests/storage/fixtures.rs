//! A migrated database of one's own, with merchants, wallets and spend keys in it, and records to write to it.

use std::sync::atomic::{AtomicU64, Ordering};

use caldera::domain::account::Funding;
use caldera::domain::credential::KeyHash;
use caldera::domain::ids::{MerchantId, Mode, RequestId, SpendKeyId, WalletId, compose};
use caldera::domain::key::{Enforcement, KeySettings, KeyStatus, OnDisconnect, RequestShape};
use caldera::domain::money::Money;
use caldera::domain::request::{OpenRequest, Outcome, ProviderKeyType, Settlement, UsageSource};
use caldera::domain::spend::Admission;
use caldera::domain::usage::Usage;
use caldera::engine::ports::Batch;
use caldera::storage::keys::Owner;
use caldera::storage::merchants::{self, NewMerchant};
use caldera::storage::spend_keys::{self, SpendKeyRow};
use caldera::storage::{Database, DatabaseOptions, migrations};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::support::postgres;

/// 2026-11-21T12:00:00Z.
pub const NOON_MS: i64 = 1_795_262_400_000;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub struct Storage {
    pub database: Database,
    pub connection: PgConnection,
    // Keeps the database for as long as the test runs.
    _postgres: postgres::TestDatabase,
}

#[derive(Clone, Copy, Debug)]
pub struct Tenant {
    pub merchant: MerchantId,
    pub wallet: WalletId,
}

impl Tenant {
    pub fn owner(self) -> Owner {
        Owner {
            merchant_id: self.merchant,
            wallet_id: None,
        }
    }
}

impl Storage {
    pub fn new() -> Self {
        let postgres = postgres::database();
        migrations::migrate(&postgres.url).unwrap();
        let options = DatabaseOptions {
            url: postgres.url.clone(),
            ..DatabaseOptions::default()
        };
        let database = Database::connect(&postgres.url, &options).unwrap();
        let connection = database.connect_alone().unwrap();
        Self {
            database,
            connection,
            _postgres: postgres,
        }
    }

    pub fn tenant(&mut self) -> Tenant {
        let tenant = Tenant {
            merchant: MerchantId::from_bits(bits()),
            wallet: WalletId::from_bits(bits()),
        };
        let new = NewMerchant {
            id: tenant.merchant,
            name: "Somebody".to_owned(),
            default_wallet_id: tenant.wallet,
            funding: Funding::Postpaid,
        };
        merchants::create(&mut self.connection, &new).unwrap();
        tenant
    }

    pub fn spend_key(&mut self, tenant: Tenant) -> SpendKeyRow {
        let row = spend_key(tenant);
        spend_keys::insert(&mut self.connection, &row).unwrap();
        row
    }

    /// The single number that a query gives.
    pub fn number(&mut self, query: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let row: Row = diesel::sql_query(format!("SELECT ({query})::bigint AS number"))
            .get_result(&mut self.connection)
            .unwrap();
        row.number
    }
}

/// New bits for an id, later than all before.
pub fn bits() -> u128 {
    compose(
        Mode::Live,
        NOON_MS,
        u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 1,
    )
}

pub fn hash() -> KeyHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&bits().to_be_bytes());
    hash
}

pub fn spend_key(tenant: Tenant) -> SpendKeyRow {
    let id = SpendKeyId::from_bits(bits());
    let settings = KeySettings {
        id,
        merchant_id: tenant.merchant,
        wallet_id: tenant.wallet,
        secret_version: 1,
        name: "a key".into(),
        status: KeyStatus::Active,
        request_shape: RequestShape::OpenAi,
        allowed_models: None,
        allowed_providers: None,
        allowed_ips: None,
        spend_limit: None,
        request_limit: None,
        rate_limit: None,
        max_parallel: None,
        enforcement: Enforcement::Adaptive,
        on_disconnect: OnDisconnect::Drain,
        timezone: chrono_tz::Tz::UTC,
        expires_at_ms: None,
    };
    let preview = "lava_sk_00000000****".to_owned();
    SpendKeyRow {
        settings,
        tags: None,
        hash: hash(),
        previous: None,
        preview,
        created_at_ms: id.created_ms(),
    }
}

/// A request that has ended; the tests change what they are about.
pub fn settled(tenant: Tenant, key: Option<SpendKeyId>, cost_nanos: i64) -> (OpenRequest, Settlement) {
    let id = RequestId::from_bits(bits());
    let open = OpenRequest {
        id,
        attempt_of: None,
        merchant_id: tenant.merchant,
        wallet_id: tenant.wallet,
        spend_key_id: key,
        admission: Admission {
            day_start: 1_795_219_200,
            week_start: 1_794_787_200,
            month_start: 1_793_491_200,
        },
        admitted_at_ms: NOON_MS,
        hold: Money::from_nanos(cost_nanos),
        price_version: 1,
        provider_key_type: ProviderKeyType::Managed,
        streaming: true,
        simulated: false,
        input_estimate: Money::ZERO,
        output_nanos_per_million: 0,
        provider: "openai".to_owned(),
        model: Some("gpt-4o-mini".to_owned()),
        endpoint: "POST https://api.openai.com/v1/chat/completions".to_owned(),
        metadata: r#"{"user_id":"u-1","team":"blue"}"#.to_owned(),
        metered: None,
    };
    let settlement = Settlement {
        id,
        outcome: Outcome::Completed,
        usage_source: UsageSource::Provider,
        http_status: 200,
        usage: Usage {
            input_tokens: 10,
            cache_read_tokens: 5,
            output_tokens: 20,
            ..Usage::default()
        },
        cost: Money::from_nanos(cost_nanos),
        input_cost: Money::ZERO,
        output_cost: Money::from_nanos(cost_nanos),
        finished_at_ms: NOON_MS + 1_500,
        first_token_ms: None,
        response_id: "chatcmpl-1".to_owned(),
        charge: None,
    };
    (open, settlement)
}

pub fn batch(settled: Vec<(OpenRequest, Settlement)>) -> Batch {
    Batch {
        settled,
        ..Batch::default()
    }
}
