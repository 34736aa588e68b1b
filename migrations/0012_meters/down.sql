DROP TABLE meters;
DROP FUNCTION is_ascending(BIGINT[]);
