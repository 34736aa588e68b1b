-- What a spend key spent in each week of UTC, from Monday on: all keys of a long period are ranked by whole weeks, and by
-- days at its ends, which is a fifth of the rows. The billing writer adds to it with the days.
CREATE TABLE traffic_key_weeks (
    merchant_id UUID NOT NULL,
    -- Its Monday.
    week DATE NOT NULL CHECK (extract(isodow FROM week) = 1),
    spend_key_id UUID NOT NULL,
    cost BIGINT NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (merchant_id, week, spend_key_id)
) WITH (fillfactor = 80);

-- Nothing is written between the weeks and their table.
LOCK TABLE traffic_key_days IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO traffic_key_weeks
SELECT merchant_id, date_trunc('week', day::timestamp)::date, spend_key_id,
    least(sum(cost), 9223372036854775807)::bigint
FROM traffic_key_days
GROUP BY 1, 2, 3;
