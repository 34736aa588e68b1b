DROP TABLE spend_key_counters;
DROP TABLE spend_keys;
