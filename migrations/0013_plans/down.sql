DROP TABLE plan_meters;
ALTER TABLE plans DROP CONSTRAINT plans_default_bundle_fkey;
DROP TABLE credit_bundles;
DROP TABLE plans;
