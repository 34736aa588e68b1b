-- Tenants. What pays a merchant's calls by default is added with the wallets.
CREATE TABLE merchants (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    created_at TIMESTAMPTZ NOT NULL
);
