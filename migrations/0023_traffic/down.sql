DROP INDEX requests_by_first_attempt;
DROP INDEX requests_of_errors;
DROP INDEX requests_by_model;
DROP TABLE traffic_key_days;
DROP TABLE traffic_hours;
ALTER TABLE requests DROP COLUMN hold;
ALTER TABLE requests DROP COLUMN first_token_ms;
