ALTER TABLE requests DROP COLUMN rare_usage;
ALTER TABLE requests DROP COLUMN attempt_of;
