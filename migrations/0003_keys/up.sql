-- Keys that manage. A revoked key stays, so that its id keeps its meaning.
CREATE TABLE secret_keys (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    hint TEXT NOT NULL CHECK (char_length(hint) = 4),
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX secret_keys_by_merchant ON secret_keys (merchant_id, id DESC) WHERE revoked_at IS NULL;

CREATE TABLE wallet_keys (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    wallet_id UUID NOT NULL,
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    preview TEXT NOT NULL,
    last_used_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    FOREIGN KEY (merchant_id, wallet_id) REFERENCES wallets (merchant_id, id)
);
CREATE INDEX wallet_keys_by_merchant ON wallet_keys (merchant_id, id DESC) WHERE revoked_at IS NULL;
