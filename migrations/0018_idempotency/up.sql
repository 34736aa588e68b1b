-- Answers to management POSTs that named an Idempotency-Key, for a day. Of the key only a keyed hash is here, and the
-- answer is sealed with a key that needs the caller's own text: a dump shows neither, and an answer may hold a secret.
CREATE TABLE idempotency_keys (
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    key_hash BYTEA NOT NULL CHECK (octet_length(key_hash) = 32),
    -- SHA-256 of the method, the path and the body.
    fingerprint BYTEA NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- Null while the work is under way, and where the process ended before its answer was stored.
    answer BYTEA,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (merchant_id, key_hash)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
