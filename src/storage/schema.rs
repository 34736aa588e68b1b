//! The tables that are read and written through diesel's query builder, as the migrations make them. Requests, the
//! ledger and movements are not here: the writer fills them from arrays, in SQL of its own. Written by hand; a column
//! that a migration adds is added here too. Tables that one file alone uses stand there.

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    merchants (id) {
        id -> Uuid,
        name -> Text,
        mode -> Text,
        created_at -> Timestamptz,
        default_wallet_id -> Uuid,
    }
}

table! {
    wallets (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        funding -> Text,
        balance -> BigInt,
        created_at -> Timestamptz,
    }
}

table! {
    secret_keys (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        name -> Text,
        hash -> Binary,
        hint -> Text,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        of_one_run -> Bool,
    }
}

table! {
    wallet_keys (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        wallet_id -> Uuid,
        name -> Text,
        hash -> Binary,
        preview -> Text,
        last_used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

table! {
    provider_keys (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        provider -> Text,
        name -> Nullable<Text>,
        sealed -> Binary,
        hint -> Text,
        created_at -> Timestamptz,
    }
}

table! {
    customers (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        reference_id -> Nullable<Text>,
        name -> Nullable<Text>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        metadata -> Nullable<Jsonb>,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

table! {
    idempotency_keys (merchant_id, key_hash) {
        merchant_id -> Uuid,
        key_hash -> Binary,
        fingerprint -> Binary,
        answer -> Nullable<Binary>,
        created_at -> Timestamptz,
    }
}

table! {
    spend_keys (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        wallet_id -> Uuid,
        name -> Text,
        hash -> Binary,
        previous_hash -> Nullable<Binary>,
        grace_until -> Nullable<Timestamptz>,
        preview -> Text,
        secret_version -> BigInt,
        status -> Text,
        request_shape -> Text,
        allowed_models -> Nullable<Array<Text>>,
        allowed_providers -> Nullable<Array<Text>>,
        allowed_ips -> Nullable<Array<Text>>,
        spend_limit -> Nullable<BigInt>,
        spend_cycle -> Nullable<Text>,
        request_limit -> Nullable<BigInt>,
        request_cycle -> Nullable<Text>,
        rate_rpm -> Nullable<BigInt>,
        rate_burst -> Nullable<BigInt>,
        max_parallel -> Nullable<BigInt>,
        enforcement -> Text,
        on_disconnect -> Text,
        timezone -> Text,
        tags -> Nullable<Array<Text>>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

table! {
    spend_key_counters (key_id) {
        key_id -> Uuid,
        day_start -> BigInt,
        day_spend -> BigInt,
        day_requests -> BigInt,
        week_start -> BigInt,
        week_spend -> BigInt,
        week_requests -> BigInt,
        month_start -> BigInt,
        month_spend -> BigInt,
        month_requests -> BigInt,
        total_spend -> BigInt,
        total_requests -> BigInt,
        last_used_at -> Timestamptz,
    }
}

table! {
    billing_batches (id) {
        id -> BigInt,
        written_at -> Timestamptz,
        row_count -> Integer,
        latest_instant_ms -> BigInt,
    }
}

table! {
    journal_lanes (lane) {
        lane -> Integer,
        sequence -> BigInt,
    }
}

table! {
    server_lease (id) {
        id -> Integer,
        epoch -> BigInt,
        holder -> Text,
        acquired_at -> Timestamptz,
    }
}

table! {
    instance (key) {
        key -> Text,
        value -> Text,
    }
}

table! {
    meters (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        slug -> Text,
        name -> Text,
        rate_type -> Text,
        tier_type -> Text,
        tier_starts -> Array<BigInt>,
        tier_rates -> Array<BigInt>,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

table! {
    plans (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        name -> Text,
        period_amount -> BigInt,
        billing_interval -> Text,
        included_credit -> BigInt,
        rollover_type -> Text,
        bundle_rollover_type -> Text,
        default_bundle_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

table! {
    credit_bundles (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        plan_id -> Uuid,
        name -> Text,
        cost -> BigInt,
        credit_amount -> BigInt,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

table! {
    plan_meters (plan_id, meter_id) {
        merchant_id -> Uuid,
        plan_id -> Uuid,
        meter_id -> Uuid,
    }
}

table! {
    subscriptions (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        customer_id -> Uuid,
        plan_id -> Uuid,
        plan_name -> Text,
        period_amount -> BigInt,
        included_credit -> BigInt,
        billing_interval -> Text,
        rollover_type -> Text,
        bundle_rollover_type -> Text,
        anchor_at -> Timestamptz,
        period_index -> BigInt,
        started_at -> Timestamptz,
        cycle_start_at -> Timestamptz,
        cycle_end_at -> Timestamptz,
        auto_top_up_bundle_id -> Nullable<Uuid>,
        pending_change -> Nullable<Text>,
        pending_offer -> Nullable<Jsonb>,
        payment_failures -> Nullable<BigInt>,
        payment_failed_at -> Nullable<Timestamptz>,
        cancelled_at -> Nullable<Timestamptz>,
        version -> BigInt,
        recent_payments -> Array<Uuid>,
    }
}

table! {
    checkout_sessions (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        secret_hash -> Bytea,
        checkout_mode -> Text,
        origin_url -> Text,
        customer_id -> Uuid,
        plan_id -> Uuid,
        credit_bundle_id -> Nullable<Uuid>,
        state -> Jsonb,
        created_at -> Timestamptz,
        completed_at -> Nullable<Timestamptz>,
    }
}

table! {
    payers (customer_id, processor) {
        customer_id -> Uuid,
        processor -> Text,
        merchant_id -> Uuid,
        reference -> Text,
    }
}

table! {
    payment_methods (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        customer_id -> Uuid,
        processor -> Text,
        reference -> Text,
        brand -> Text,
        last4 -> Text,
        expiry_month -> BigInt,
        expiry_year -> BigInt,
        created_at -> Timestamptz,
        forgotten_at -> Nullable<Timestamptz>,
    }
}

table! {
    payments (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        customer_id -> Uuid,
        payment_method_id -> Uuid,
        processor -> Text,
        payer -> Text,
        amount -> BigInt,
        description -> Text,
        purpose -> Jsonb,
        checkout_session_id -> Nullable<Uuid>,
        status -> Text,
        reference -> Nullable<Text>,
        decline -> Nullable<Jsonb>,
        created_at -> Timestamptz,
        applied_at -> Nullable<Timestamptz>,
        paid_batch_id -> Nullable<BigInt>,
        refunded_batch_id -> Nullable<BigInt>,
    }
}

table! {
    webhooks (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        name -> Text,
        url -> Text,
        events -> Nullable<Array<Text>>,
        enabled -> Bool,
        disabled_reason -> Nullable<Text>,
        secret -> Binary,
        previous_secret -> Nullable<Binary>,
        previous_until -> Nullable<Timestamptz>,
        failing_since -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

table! {
    webhook_events (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        name -> Text,
        body -> Nullable<Text>,
    }
}

table! {
    webhook_deliveries (id) {
        id -> Uuid,
        merchant_id -> Uuid,
        webhook_id -> Uuid,
        event_id -> Uuid,
        subject -> Uuid,
        gathers -> Bool,
        status -> Text,
        attempt_count -> Integer,
        due_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        last_attempt_at -> Nullable<Timestamptz>,
        last_status -> Nullable<Integer>,
        last_error -> Nullable<Text>,
        last_answer -> Nullable<Text>,
        ended_at -> Nullable<Timestamptz>,
    }
}

joinable!(spend_key_counters -> spend_keys (key_id));
allow_tables_to_appear_in_same_query!(spend_keys, spend_key_counters);
joinable!(plan_meters -> meters (meter_id));
allow_tables_to_appear_in_same_query!(credit_bundles, plans);
allow_tables_to_appear_in_same_query!(plan_meters, meters);
joinable!(webhook_deliveries -> webhook_events (event_id));
allow_tables_to_appear_in_same_query!(webhook_deliveries, webhook_events);
