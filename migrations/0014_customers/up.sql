-- Whom a merchant bills. One that is deleted stays, so that rows of usage keep their customer; his reference id is free
-- again. `(merchant_id, id)` is what other tables refer to, so that none can name another merchant's customer.
CREATE TABLE customers (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    reference_id TEXT CHECK (char_length(reference_id) BETWEEN 1 AND 255 AND left(reference_id, 4) <> 'con_'),
    name TEXT CHECK (char_length(name) BETWEEN 1 AND 255),
    email TEXT CHECK (char_length(email) BETWEEN 3 AND 254),
    phone TEXT CHECK (phone ~ '^\+[1-9][0-9]{1,14}$'),
    metadata JSONB CHECK (jsonb_typeof(metadata) = 'object'),
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE (merchant_id, id)
);
CREATE UNIQUE INDEX customers_reference_id_key ON customers (merchant_id, reference_id) WHERE deleted_at IS NULL;
CREATE INDEX customers_by_merchant ON customers (merchant_id, id DESC) WHERE deleted_at IS NULL;
