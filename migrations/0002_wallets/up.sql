-- What pays provider cost. Only a postpaid balance is expected below zero, but a prepaid one may follow it there: a
-- call can cost more than was held for it, and what a provider billed is never forgotten.
CREATE TABLE wallets (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    funding TEXT NOT NULL CHECK (funding IN ('postpaid', 'prepaid')),
    balance BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (merchant_id, id)
);

-- A merchant and his first wallet are made in one transaction, each naming the other.
ALTER TABLE merchants ADD COLUMN default_wallet_id UUID NOT NULL;
ALTER TABLE merchants
    ADD CONSTRAINT merchants_default_wallet_fkey FOREIGN KEY (id, default_wallet_id)
    REFERENCES wallets (merchant_id, id) DEFERRABLE INITIALLY DEFERRED;
