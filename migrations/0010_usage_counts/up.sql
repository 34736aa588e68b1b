-- What few requests have: counts of images, characters, sound, pages and queries, and the first attempt of a call that
-- was sent on to another target. Both are NULL in every earlier row, so nothing is rewritten.
ALTER TABLE requests ADD COLUMN attempt_of UUID;
-- Only the counts that are not zero, by name.
ALTER TABLE requests ADD COLUMN rare_usage JSONB;
ALTER TABLE requests ADD CONSTRAINT requests_rare_usage_check
    CHECK (jsonb_typeof(rare_usage) = 'object') NOT VALID;
