-- Customers' time on plans, with the terms under which each runs. Written by the billing writer alone, from turns that
-- the journal has decided: so there are no foreign keys, for want of whose row a batch could be refused. Amounts are
-- nano-dollars.
CREATE TABLE subscriptions (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    customer_id UUID NOT NULL,
    plan_id UUID NOT NULL,
    plan_name TEXT NOT NULL,
    period_amount BIGINT NOT NULL CHECK (period_amount >= 0),
    included_credit BIGINT NOT NULL CHECK (included_credit >= 0),
    billing_interval TEXT NOT NULL CHECK (billing_interval IN ('day', 'week', 'month', 'year')),
    rollover_type TEXT NOT NULL CHECK (rollover_type IN ('full', 'none')),
    bundle_rollover_type TEXT NOT NULL CHECK (bundle_rollover_type IN ('full', 'none')),
    -- From where cycles are counted, and which one this is.
    anchor_at TIMESTAMPTZ NOT NULL,
    period_index BIGINT NOT NULL CHECK (period_index BETWEEN 0 AND 4294967295),
    started_at TIMESTAMPTZ NOT NULL,
    cycle_start_at TIMESTAMPTZ NOT NULL,
    cycle_end_at TIMESTAMPTZ NOT NULL,
    auto_top_up_bundle_id UUID,
    -- What happens at the end of the cycle; of a downgrade, what the plan offers.
    pending_change TEXT CHECK (pending_change IN ('cancellation', 'downgrade')),
    pending_offer JSONB CHECK (jsonb_typeof(pending_offer) = 'object'),
    -- Failed payments of the next cycle.
    payment_failures BIGINT CHECK (payment_failures BETWEEN 1 AND 4294967295),
    payment_failed_at TIMESTAMPTZ,
    cancelled_at TIMESTAMPTZ,
    -- The customer's turn that wrote the row; a later one is never written over by an earlier one.
    version BIGINT NOT NULL CHECK (version >= 0),
    CHECK (cycle_start_at < cycle_end_at),
    CHECK ((pending_change IS NOT DISTINCT FROM 'downgrade') = (pending_offer IS NOT NULL)),
    CHECK ((payment_failures IS NULL) = (payment_failed_at IS NULL)),
    CHECK (cancelled_at IS NULL OR (pending_change IS NULL AND payment_failures IS NULL))
);
CREATE UNIQUE INDEX subscriptions_one_active ON subscriptions (customer_id) WHERE cancelled_at IS NULL;
CREATE INDEX subscriptions_by_customer ON subscriptions (customer_id, id DESC);
CREATE INDEX subscriptions_by_merchant ON subscriptions (merchant_id, id DESC);
CREATE INDEX subscriptions_active_by_merchant ON subscriptions (merchant_id, id DESC) WHERE cancelled_at IS NULL;
