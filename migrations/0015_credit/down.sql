ALTER TABLE movements DROP CONSTRAINT movements_kind_check;
ALTER TABLE movements ADD CONSTRAINT movements_kind_check
    CHECK (kind IN ('funding', 'grant', 'bundle', 'renewal', 'reported', 'correction')) NOT VALID;
ALTER TABLE movements DROP CONSTRAINT movements_account_kind_check;
ALTER TABLE movements ADD CONSTRAINT movements_account_kind_check
    CHECK (account_kind IN ('wallet', 'customer')) NOT VALID;
DROP INDEX requests_by_meter;
ALTER TABLE requests DROP CONSTRAINT requests_usage_source_check;
ALTER TABLE requests ADD CONSTRAINT requests_usage_source_check
    CHECK (usage_source IN ('provider', 'partial', 'estimated', 'crash_estimate', 'none')) NOT VALID;
ALTER TABLE requests DROP COLUMN charge_detail;
DROP TABLE meter_quantities;
DROP TABLE customer_credit;
