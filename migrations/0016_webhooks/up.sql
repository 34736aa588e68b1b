-- Where merchants are told events. Secrets are sealed with a key that is not in the database; an endpoint that is
-- deleted is gone with all that was for it.
CREATE TABLE webhooks (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    url TEXT NOT NULL CHECK (octet_length(url) BETWEEN 1 AND 2048),
    -- NULL: all of them.
    events TEXT[] CHECK (cardinality(events) > 0),
    enabled BOOLEAN NOT NULL,
    -- Why it was disabled, where its owner did not do so.
    disabled_reason TEXT CHECK (disabled_reason IN ('gone', 'failing')),
    secret BYTEA NOT NULL,
    -- The secret before the last rotation, and until when it signs too.
    previous_secret BYTEA,
    previous_until TIMESTAMPTZ,
    -- Since when every attempt has failed.
    failing_since TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (merchant_id, id),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CHECK (disabled_reason IS NULL OR NOT enabled)
);

-- What happened, as it is told; written in the transaction of what happened. Ids begin with their time.
CREATE TABLE webhook_events (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    name TEXT NOT NULL,
    -- NULL: the subject's state at the moment when it is first sent, which is written here then.
    body TEXT
);

-- One event on its way to one endpoint. While an attempt runs the row is leased; a lease that has run out is anyone's.
CREATE TABLE webhook_deliveries (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    event_id UUID NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    -- What the event is about, and whether all that happens to it before the first attempt is told as this one.
    subject UUID NOT NULL,
    gathers BOOLEAN NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    attempt_count INTEGER NOT NULL CHECK (attempt_count >= 0),
    due_at TIMESTAMPTZ NOT NULL,
    leased_until TIMESTAMPTZ,
    last_attempt_at TIMESTAMPTZ,
    last_status INTEGER,
    last_error TEXT,
    last_answer TEXT CHECK (octet_length(last_answer) <= 65536),
    ended_at TIMESTAMPTZ,
    FOREIGN KEY (merchant_id, webhook_id) REFERENCES webhooks (merchant_id, id) ON DELETE CASCADE,
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    CHECK (leased_until IS NULL OR status = 'pending')
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id DESC);
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (webhook_id) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook_id, id DESC) WHERE status = 'dead';
CREATE UNIQUE INDEX webhook_deliveries_gathered ON webhook_deliveries (webhook_id, subject)
    WHERE gathers AND status = 'pending' AND attempt_count = 0;

-- Which thresholds of a spend key were told, once each in a cycle. Starts are in unix seconds.
CREATE TABLE spend_key_thresholds (
    key_id UUID NOT NULL REFERENCES spend_keys (id),
    cycle TEXT NOT NULL CHECK (cycle IN ('daily', 'weekly', 'monthly', 'total')),
    window_start BIGINT NOT NULL,
    percent INTEGER NOT NULL CHECK (percent IN (50, 80, 100)),
    PRIMARY KEY (key_id, cycle, window_start, percent)
);
