-- What customers subscribe to. A deleted plan stays for those who are on it. Amounts are nano-dollars; price and
-- interval never change. A free plan may bring credit, any other at most its price.
CREATE TABLE plans (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    period_amount BIGINT NOT NULL CHECK (period_amount BETWEEN 0 AND 10000000000000),
    billing_interval TEXT NOT NULL CHECK (billing_interval IN ('day', 'week', 'month', 'year')),
    included_credit BIGINT NOT NULL CHECK (included_credit BETWEEN 0 AND 10000000000000),
    rollover_type TEXT NOT NULL CHECK (rollover_type IN ('full', 'none')),
    bundle_rollover_type TEXT NOT NULL CHECK (bundle_rollover_type IN ('full', 'none')),
    default_bundle_id UUID,
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE (merchant_id, id),
    CHECK (period_amount = 0 OR included_credit <= period_amount)
);
CREATE INDEX plans_by_merchant ON plans (merchant_id, id DESC) WHERE deleted_at IS NULL;

-- Credit that a plan's subscribers may buy. A removed bundle stays for those who bought it.
CREATE TABLE credit_bundles (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    plan_id UUID NOT NULL,
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    cost BIGINT NOT NULL CHECK (cost BETWEEN 1 AND 1000000000000000),
    credit_amount BIGINT NOT NULL CHECK (credit_amount BETWEEN 1 AND 1000000000000000),
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE (plan_id, id),
    FOREIGN KEY (merchant_id, plan_id) REFERENCES plans (merchant_id, id)
);
CREATE INDEX credit_bundles_by_merchant ON credit_bundles (merchant_id, id DESC) WHERE deleted_at IS NULL;
-- A plan and its bundles are made in one transaction, each naming the other.
ALTER TABLE plans ADD CONSTRAINT plans_default_bundle_fkey FOREIGN KEY (id, default_bundle_id)
    REFERENCES credit_bundles (plan_id, id) DEFERRABLE INITIALLY DEFERRED;

-- The meters that may draw on a plan's credit.
CREATE TABLE plan_meters (
    merchant_id UUID NOT NULL,
    plan_id UUID NOT NULL,
    meter_id UUID NOT NULL,
    PRIMARY KEY (plan_id, meter_id),
    FOREIGN KEY (merchant_id, plan_id) REFERENCES plans (merchant_id, id),
    FOREIGN KEY (merchant_id, meter_id) REFERENCES meters (merchant_id, id)
);
CREATE INDEX plan_meters_by_meter ON plan_meters (meter_id);

-- Every merchant has a free plan, with the bits of his own id.
INSERT INTO plans (id, merchant_id, name, period_amount, billing_interval, included_credit, rollover_type,
                   bundle_rollover_type, created_at)
SELECT id, id, 'Free', 0, 'month', 0, 'none', 'full', created_at FROM merchants;
