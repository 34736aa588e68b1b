-- Credit of customers. It is written by the billing writer alone; a row is made with the first movement of a customer.
-- Either may be below zero: a call can cost more than was held for it, and what was served is never forgotten.
CREATE TABLE customer_credit (
    customer_id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL,
    cycle BIGINT NOT NULL,
    bundle BIGINT NOT NULL,
    -- Counts the turns of his subscription.
    version BIGINT NOT NULL DEFAULT 0 CHECK (version >= 0)
);

-- What a customer used of a meter since a period began (unix seconds), in the units of the meter.
CREATE TABLE meter_quantities (
    customer_id UUID NOT NULL,
    meter_id UUID NOT NULL,
    period_start BIGINT NOT NULL,
    merchant_id UUID NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (customer_id, meter_id, period_start)
);

ALTER TABLE requests ADD COLUMN charge_detail JSONB;
ALTER TABLE requests ADD CONSTRAINT requests_charge_detail_check
    CHECK (jsonb_typeof(charge_detail) = 'object') NOT VALID;
-- What a merchant reports has no provider that was called.
ALTER TABLE requests DROP CONSTRAINT requests_usage_source_check;
ALTER TABLE requests ADD CONSTRAINT requests_usage_source_check
    CHECK (usage_source IN ('provider', 'partial', 'estimated', 'crash_estimate', 'none', 'reported')) NOT VALID;
CREATE INDEX requests_by_meter ON requests (meter_id, id DESC) WHERE meter_id IS NOT NULL;

ALTER TABLE movements DROP CONSTRAINT movements_account_kind_check;
ALTER TABLE movements ADD CONSTRAINT movements_account_kind_check
    CHECK (account_kind IN ('wallet', 'cycle_credit', 'bundle_credit')) NOT VALID;
ALTER TABLE movements DROP CONSTRAINT movements_kind_check;
ALTER TABLE movements ADD CONSTRAINT movements_kind_check
    CHECK (kind IN ('funding', 'grant', 'bundle', 'renewal', 'reported', 'correction', 'lapse', 'top_up')) NOT VALID;
