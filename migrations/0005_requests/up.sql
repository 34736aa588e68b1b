-- One row of usage an admitted request, written once, when it has ended. There are no foreign keys here: the rows come
-- from the journal, whose ids were looked up in these tables, and a check a row would double the writer's work.
CREATE TABLE requests (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    wallet_id UUID NOT NULL,
    spend_key_id UUID,
    customer_id UUID,
    meter_id UUID,
    -- The caller's own id of a request that he reported.
    caller_id TEXT,
    provider TEXT NOT NULL,
    model TEXT,
    endpoint TEXT NOT NULL,
    provider_key_type TEXT NOT NULL CHECK (provider_key_type IN ('managed', 'unmanaged')),
    streaming BOOLEAN NOT NULL,
    simulated BOOLEAN NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('completed', 'error')),
    http_status INTEGER NOT NULL CHECK (http_status BETWEEN 0 AND 999),
    usage_source TEXT NOT NULL CHECK (usage_source IN ('provider', 'partial', 'estimated', 'crash_estimate', 'none')),
    input_tokens BIGINT NOT NULL CHECK (input_tokens >= 0),
    cache_read_tokens BIGINT NOT NULL CHECK (cache_read_tokens >= 0),
    cache_write_tokens BIGINT NOT NULL CHECK (cache_write_tokens >= 0),
    cache_write_1h_tokens BIGINT NOT NULL CHECK (cache_write_1h_tokens >= 0),
    output_tokens BIGINT NOT NULL CHECK (output_tokens >= 0),
    reasoning_tokens BIGINT NOT NULL CHECK (reasoning_tokens >= 0),
    audio_input_tokens BIGINT NOT NULL CHECK (audio_input_tokens >= 0),
    audio_output_tokens BIGINT NOT NULL CHECK (audio_output_tokens >= 0),
    web_searches BIGINT NOT NULL CHECK (web_searches >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    input_cost BIGINT NOT NULL CHECK (input_cost >= 0),
    output_cost BIGINT NOT NULL CHECK (output_cost >= 0),
    charge BIGINT NOT NULL DEFAULT 0 CHECK (charge >= 0),
    price_version BIGINT NOT NULL,
    metadata JSONB CHECK (jsonb_typeof(metadata) = 'object'),
    response_id TEXT,
    admitted_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL
);
-- Ids begin with the time, so these are in the order of the lists.
CREATE INDEX requests_by_merchant ON requests (merchant_id, id DESC);
CREATE INDEX requests_by_spend_key ON requests (spend_key_id, id DESC) WHERE spend_key_id IS NOT NULL;
CREATE INDEX requests_by_customer ON requests (customer_id, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX requests_by_admission ON requests (merchant_id, admitted_at);
CREATE INDEX requests_by_metadata ON requests USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;
CREATE UNIQUE INDEX requests_caller_id_key ON requests (merchant_id, caller_id) WHERE caller_id IS NOT NULL;
