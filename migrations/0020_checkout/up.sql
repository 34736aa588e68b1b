-- What customers go through to buy. The secret that opens a session is stored as a keyed hash. `state` is the session as
-- the domain has it; the columns beside it are what others ask for.
CREATE TABLE checkout_sessions (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    secret_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(secret_hash) = 32),
    checkout_mode TEXT NOT NULL CHECK (checkout_mode IN ('subscription', 'credit_bundle')),
    -- The only origin whose pages may embed it.
    origin_url TEXT NOT NULL CHECK (char_length(origin_url) BETWEEN 1 AND 2048),
    -- Decided from the start, also where the customer is made only as it ends.
    customer_id UUID NOT NULL,
    plan_id UUID NOT NULL,
    credit_bundle_id UUID,
    state JSONB NOT NULL CHECK (jsonb_typeof(state) = 'object'),
    created_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    CHECK ((checkout_mode = 'credit_bundle') = (credit_bundle_id IS NOT NULL))
);
CREATE INDEX checkout_sessions_by_merchant ON checkout_sessions (merchant_id, id DESC);

-- Customers as payment processors know them.
CREATE TABLE payers (
    customer_id UUID NOT NULL,
    processor TEXT NOT NULL CHECK (processor IN ('stripe', 'test')),
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    reference TEXT NOT NULL,
    PRIMARY KEY (customer_id, processor)
);

-- Cards on file at the processors. No number is ever here.
CREATE TABLE payment_methods (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    customer_id UUID NOT NULL,
    processor TEXT NOT NULL CHECK (processor IN ('stripe', 'test')),
    reference TEXT NOT NULL,
    brand TEXT NOT NULL,
    last4 TEXT NOT NULL CHECK (last4 ~ '^[0-9]{4}$'),
    expiry_month BIGINT NOT NULL CHECK (expiry_month BETWEEN 1 AND 12),
    expiry_year BIGINT NOT NULL CHECK (expiry_year BETWEEN 2000 AND 2200),
    created_at TIMESTAMPTZ NOT NULL,
    forgotten_at TIMESTAMPTZ
);
CREATE INDEX payment_methods_by_customer ON payment_methods (customer_id, id DESC) WHERE forgotten_at IS NULL;

-- Money that was asked for; amounts are nano-dollars, and whole cents. A payment is paid before what it was for is given
-- (`applied_at`), and both are known to the next process if this one ends between them.
CREATE TABLE payments (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    customer_id UUID NOT NULL,
    payment_method_id UUID NOT NULL REFERENCES payment_methods (id),
    processor TEXT NOT NULL CHECK (processor IN ('stripe', 'test')),
    payer TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0 AND amount % 10000000 = 0),
    description TEXT NOT NULL,
    -- What it is for, as the domain has it.
    purpose JSONB NOT NULL CHECK (jsonb_typeof(purpose) = 'object'),
    checkout_session_id UUID REFERENCES checkout_sessions (id),
    status TEXT NOT NULL CHECK (status IN ('pending', 'action_required', 'paid', 'declined', 'refunded')),
    -- The processor's name for it.
    reference TEXT,
    decline JSONB,
    created_at TIMESTAMPTZ NOT NULL,
    applied_at TIMESTAMPTZ,
    CHECK ((status = 'declined') = (decline IS NOT NULL)),
    CHECK (applied_at IS NULL OR status IN ('paid', 'refunded'))
);
CREATE INDEX payments_by_merchant ON payments (merchant_id, id DESC);
CREATE INDEX payments_by_customer ON payments (customer_id, id DESC);
-- What must be looked at again.
CREATE INDEX payments_in_doubt ON payments (id)
    WHERE status IN ('pending', 'action_required') OR (status = 'paid' AND applied_at IS NULL);
CREATE INDEX subscriptions_by_end ON subscriptions (cycle_end_at) WHERE cancelled_at IS NULL;

-- The latest payments that a subscription has taken into account, so that none counts twice.
ALTER TABLE subscriptions ADD COLUMN recent_payments UUID[] NOT NULL DEFAULT '{}';
