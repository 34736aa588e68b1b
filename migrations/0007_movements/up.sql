-- Changes of a balance that are no request.
CREATE TABLE movements (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    account_kind TEXT NOT NULL CHECK (account_kind IN ('wallet', 'customer')),
    account_id UUID NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('funding', 'grant', 'bundle', 'renewal', 'reported', 'correction')),
    amount BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    note TEXT NOT NULL CHECK (octet_length(note) <= 1024)
);
CREATE INDEX movements_by_account ON movements (account_id, id DESC);
