DROP TABLE traffic_key_weeks;
