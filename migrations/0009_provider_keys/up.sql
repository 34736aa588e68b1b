-- Merchants' own credentials at providers, sealed with a key that is not in the database. One that is deleted or
-- replaced is gone: nothing else names it, and a secret is not kept for history.
CREATE TABLE provider_keys (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    provider TEXT NOT NULL CHECK (char_length(provider) BETWEEN 1 AND 255),
    name TEXT CHECK (char_length(name) BETWEEN 1 AND 255),
    sealed BYTEA NOT NULL,
    hint TEXT NOT NULL CHECK (char_length(hint) = 4),
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (merchant_id, provider)
);
CREATE INDEX provider_keys_by_merchant ON provider_keys (merchant_id, id DESC);

-- The rows that are there obey the narrower rule already, so they need not be read again.
ALTER TABLE requests DROP CONSTRAINT requests_provider_key_type_check;
ALTER TABLE requests ADD CONSTRAINT requests_provider_key_type_check
    CHECK (provider_key_type IN ('managed', 'unmanaged', 'stored')) NOT VALID;
