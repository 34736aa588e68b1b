ALTER TABLE requests DROP CONSTRAINT requests_provider_key_type_check;
UPDATE requests SET provider_key_type = 'unmanaged' WHERE provider_key_type = 'stored';
ALTER TABLE requests ADD CONSTRAINT requests_provider_key_type_check
    CHECK (provider_key_type IN ('managed', 'unmanaged'));
DROP TABLE provider_keys;
