-- Calls that were refused before anything of them was recorded, counted by hour, spend key and the code of the error, with
-- the last one of each. They cost nothing and are no part of the books.
CREATE TABLE refusals (
    merchant_id UUID NOT NULL,
    -- When the hour begins.
    hour TIMESTAMPTZ NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    -- The nil UUID: the call came without a spend key.
    spend_key_id UUID NOT NULL,
    code TEXT NOT NULL CHECK (char_length(code) BETWEEN 1 AND 64),
    call_count BIGINT NOT NULL CHECK (call_count > 0),
    first_at TIMESTAMPTZ NOT NULL,
    -- Of the last one: when, under which id, what was answered.
    last_at TIMESTAMPTZ NOT NULL,
    request_id UUID NOT NULL,
    status SMALLINT NOT NULL CHECK (status BETWEEN 400 AND 599),
    message TEXT NOT NULL,
    PRIMARY KEY (merchant_id, hour, spend_key_id, code)
) WITH (fillfactor = 80);
CREATE INDEX refusals_by_last ON refusals (merchant_id, request_id DESC);
CREATE INDEX refusals_by_age ON refusals (hour);
CREATE INDEX refusals_by_key ON refusals (merchant_id, spend_key_id, request_id DESC);
