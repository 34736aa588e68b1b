-- Who is signed in to the dashboard. Of the cookie only a keyed hash is here.
CREATE TABLE dashboard_sessions (
    hash BYTEA PRIMARY KEY CHECK (octet_length(hash) = 32),
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    -- The key that it was opened with, with which it ends; null where it was opened by a link.
    secret_key_id UUID REFERENCES secret_keys (id),
    created_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL CHECK (expires_at > created_at)
);
CREATE INDEX dashboard_sessions_by_end ON dashboard_sessions (expires_at);

-- Links that open a session, once.
CREATE TABLE dashboard_links (
    hash BYTEA PRIMARY KEY CHECK (octet_length(hash) = 32),
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    expires_at TIMESTAMPTZ NOT NULL
);

-- Every change that somebody asked of the management API, the dashboard or the command line: written before it is
-- made, and again with how it ended.
CREATE TABLE audit_events (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('secret_key', 'wallet_key', 'dashboard', 'operator')),
    -- The id of the key or the name of the session.
    actor TEXT NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 100),
    -- Noun and verb, as `spend_keys.rotate`.
    action TEXT NOT NULL CHECK (char_length(action) BETWEEN 1 AND 100),
    target TEXT CHECK (char_length(target) <= 255),
    -- What was asked, without secrets.
    asked JSONB,
    -- The status of the answer; null where the process ended before there was one.
    status SMALLINT CHECK (status BETWEEN 100 AND 599),
    address TEXT CHECK (char_length(address) <= 64),
    at TIMESTAMPTZ NOT NULL
);
CREATE INDEX audit_events_by_merchant ON audit_events (merchant_id, id DESC);
CREATE INDEX audit_events_by_target ON audit_events (merchant_id, target, id DESC);
CREATE INDEX audit_events_by_age ON audit_events (at);
