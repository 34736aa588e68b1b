CREATE TABLE spend_keys (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    wallet_id UUID NOT NULL,
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    -- The secret before the last rotation, and until when it is taken.
    previous_hash BYTEA CHECK (octet_length(previous_hash) = 32),
    grace_until TIMESTAMPTZ,
    preview TEXT NOT NULL,
    secret_version BIGINT NOT NULL DEFAULT 1 CHECK (secret_version BETWEEN 0 AND 4294967295),
    status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'revoked')),
    request_shape TEXT NOT NULL CHECK (request_shape IN ('openai', 'anthropic')),
    allowed_models TEXT[] CHECK (cardinality(allowed_models) > 0),
    allowed_providers TEXT[] CHECK (cardinality(allowed_providers) > 0),
    allowed_ips TEXT[] CHECK (cardinality(allowed_ips) > 0),
    spend_limit BIGINT CHECK (spend_limit > 0),
    spend_cycle TEXT CHECK (spend_cycle IN ('daily', 'weekly', 'monthly', 'total')),
    request_limit BIGINT CHECK (request_limit > 0),
    request_cycle TEXT CHECK (request_cycle IN ('daily', 'weekly', 'monthly', 'total')),
    rate_rpm BIGINT CHECK (rate_rpm BETWEEN 1 AND 1000000),
    rate_burst BIGINT CHECK (rate_burst BETWEEN 1 AND 1000000),
    max_parallel BIGINT CHECK (max_parallel BETWEEN 1 AND 4294967295),
    enforcement TEXT NOT NULL CHECK (enforcement IN ('adaptive', 'strict', 'soft', 'observe')),
    on_disconnect TEXT NOT NULL CHECK (on_disconnect IN ('drain', 'cancel')),
    timezone TEXT NOT NULL,
    tags TEXT[],
    expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    FOREIGN KEY (merchant_id, wallet_id) REFERENCES wallets (merchant_id, id),
    CHECK ((previous_hash IS NULL) = (grace_until IS NULL)),
    CHECK ((spend_limit IS NULL) = (spend_cycle IS NULL)),
    CHECK ((request_limit IS NULL) = (request_cycle IS NULL)),
    CHECK (rate_rpm IS NOT NULL OR rate_burst IS NULL),
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE INDEX spend_keys_by_merchant ON spend_keys (merchant_id, id DESC) WHERE revoked_at IS NULL;

-- What a key has spent, in one row: the latest day, week and month in which it was used, and all time. Starts are in
-- unix seconds; spends in nano-dollars. Only the billing writer changes it.
CREATE TABLE spend_key_counters (
    key_id UUID PRIMARY KEY REFERENCES spend_keys (id),
    day_start BIGINT NOT NULL,
    day_spend BIGINT NOT NULL CHECK (day_spend >= 0),
    day_requests BIGINT NOT NULL CHECK (day_requests >= 0),
    week_start BIGINT NOT NULL,
    week_spend BIGINT NOT NULL CHECK (week_spend >= 0),
    week_requests BIGINT NOT NULL CHECK (week_requests >= 0),
    month_start BIGINT NOT NULL,
    month_spend BIGINT NOT NULL CHECK (month_spend >= 0),
    month_requests BIGINT NOT NULL CHECK (month_requests >= 0),
    total_spend BIGINT NOT NULL CHECK (total_spend >= 0),
    total_requests BIGINT NOT NULL CHECK (total_requests >= 0),
    last_used_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 70);
