-- When the answer's first token came, after the admission, where the answer was a stream; and what was held when the
-- request was admitted. Both are NULL in every earlier row, so nothing is rewritten.
ALTER TABLE requests ADD COLUMN first_token_ms BIGINT;
ALTER TABLE requests ADD COLUMN hold BIGINT;
ALTER TABLE requests ADD CONSTRAINT requests_timing_check CHECK (first_token_ms >= 0 AND hold >= 0) NOT VALID;

-- What went through in each hour of UTC, by provider and model. The billing writer adds to it in the transaction that
-- writes the requests. Names are cut to what an index can hold; a model that is not known is the empty one.
CREATE TABLE traffic_hours (
    merchant_id UUID NOT NULL,
    -- When the hour begins.
    hour TIMESTAMPTZ NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    provider TEXT NOT NULL CHECK (char_length(provider) <= 64),
    model TEXT NOT NULL CHECK (char_length(model) <= 128),
    request_count BIGINT NOT NULL CHECK (request_count >= 0),
    -- Those that ended in an error: by a status of 429, another of 400 to 499, 504, another of 500 and above, or without one
    -- that says so: an answer that broke off, or a crash.
    throttled_count BIGINT NOT NULL,
    rejected_count BIGINT NOT NULL,
    timed_out_count BIGINT NOT NULL,
    failed_count BIGINT NOT NULL,
    broken_count BIGINT NOT NULL,
    -- Those whose usage is an estimate.
    estimated_count BIGINT NOT NULL,
    -- Input that no cache served or kept.
    input_tokens BIGINT NOT NULL CHECK (input_tokens >= 0),
    cache_read_tokens BIGINT NOT NULL CHECK (cache_read_tokens >= 0),
    cache_write_tokens BIGINT NOT NULL CHECK (cache_write_tokens >= 0),
    output_tokens BIGINT NOT NULL CHECK (output_tokens >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    charge BIGINT NOT NULL CHECK (charge >= 0),
    -- How many calls that were completed took less than 50, 100, 200, 300, 500 and 750 ms, 1, 1.5, 2, 3, 5, 10, 20, 40 and
    -- 80 s, each less than those before it, and how many longer; and so for the first token.
    latency_00 BIGINT NOT NULL DEFAULT 0, latency_01 BIGINT NOT NULL DEFAULT 0, latency_02 BIGINT NOT NULL DEFAULT 0, latency_03 BIGINT NOT NULL DEFAULT 0,
    latency_04 BIGINT NOT NULL DEFAULT 0, latency_05 BIGINT NOT NULL DEFAULT 0, latency_06 BIGINT NOT NULL DEFAULT 0, latency_07 BIGINT NOT NULL DEFAULT 0,
    latency_08 BIGINT NOT NULL DEFAULT 0, latency_09 BIGINT NOT NULL DEFAULT 0, latency_10 BIGINT NOT NULL DEFAULT 0, latency_11 BIGINT NOT NULL DEFAULT 0,
    latency_12 BIGINT NOT NULL DEFAULT 0, latency_13 BIGINT NOT NULL DEFAULT 0, latency_14 BIGINT NOT NULL DEFAULT 0, latency_15 BIGINT NOT NULL DEFAULT 0,
    first_token_00 BIGINT NOT NULL DEFAULT 0, first_token_01 BIGINT NOT NULL DEFAULT 0, first_token_02 BIGINT NOT NULL DEFAULT 0, first_token_03 BIGINT NOT NULL DEFAULT 0,
    first_token_04 BIGINT NOT NULL DEFAULT 0, first_token_05 BIGINT NOT NULL DEFAULT 0, first_token_06 BIGINT NOT NULL DEFAULT 0, first_token_07 BIGINT NOT NULL DEFAULT 0,
    first_token_08 BIGINT NOT NULL DEFAULT 0, first_token_09 BIGINT NOT NULL DEFAULT 0, first_token_10 BIGINT NOT NULL DEFAULT 0, first_token_11 BIGINT NOT NULL DEFAULT 0,
    first_token_12 BIGINT NOT NULL DEFAULT 0, first_token_13 BIGINT NOT NULL DEFAULT 0, first_token_14 BIGINT NOT NULL DEFAULT 0, first_token_15 BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, hour, provider, model)
) WITH (fillfactor = 70);

-- What a spend key used on each day of UTC, for the question which keys used most: the rows of one day stand together.
CREATE TABLE traffic_key_days (
    merchant_id UUID NOT NULL,
    day DATE NOT NULL,
    spend_key_id UUID NOT NULL,
    request_count BIGINT NOT NULL CHECK (request_count >= 0),
    error_count BIGINT NOT NULL CHECK (error_count >= 0),
    tokens BIGINT NOT NULL CHECK (tokens >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (merchant_id, day, spend_key_id)
) WITH (fillfactor = 80);

-- Nothing is written between the sums and their tables.
LOCK TABLE requests IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO traffic_hours
SELECT merchant_id, date_trunc('hour', admitted_at, 'UTC'), left(provider, 64), left(coalesce(model, ''), 128),
    count(*),
    count(*) FILTER (WHERE kind = 'throttled'),
    count(*) FILTER (WHERE kind = 'rejected'),
    count(*) FILTER (WHERE kind = 'timed_out'),
    count(*) FILTER (WHERE kind = 'failed'),
    count(*) FILTER (WHERE kind = 'broken'),
    count(*) FILTER (WHERE usage_source IN ('partial', 'estimated', 'crash_estimate')),
    least(sum(input_tokens), 9223372036854775807)::bigint,
    least(sum(cache_read_tokens), 9223372036854775807)::bigint,
    least(sum(cache_write_tokens::numeric + cache_write_1h_tokens), 9223372036854775807)::bigint,
    least(sum(output_tokens), 9223372036854775807)::bigint,
    least(sum(cost), 9223372036854775807)::bigint,
    least(sum(charge), 9223372036854775807)::bigint,
    count(*) FILTER (WHERE bucket = 0), count(*) FILTER (WHERE bucket = 1), count(*) FILTER (WHERE bucket = 2), count(*) FILTER (WHERE bucket = 3),
    count(*) FILTER (WHERE bucket = 4), count(*) FILTER (WHERE bucket = 5), count(*) FILTER (WHERE bucket = 6), count(*) FILTER (WHERE bucket = 7),
    count(*) FILTER (WHERE bucket = 8), count(*) FILTER (WHERE bucket = 9), count(*) FILTER (WHERE bucket = 10), count(*) FILTER (WHERE bucket = 11),
    count(*) FILTER (WHERE bucket = 12), count(*) FILTER (WHERE bucket = 13), count(*) FILTER (WHERE bucket = 14), count(*) FILTER (WHERE bucket = 15)
FROM requests r
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN status <> 'error' THEN NULL
        WHEN http_status = 429 THEN 'throttled'
        WHEN http_status BETWEEN 400 AND 499 THEN 'rejected'
        WHEN http_status = 504 THEN 'timed_out'
        WHEN http_status >= 500 THEN 'failed'
        ELSE 'broken'
    END AS kind,
    CASE WHEN status = 'completed' AND usage_source <> 'reported' THEN
        width_bucket((extract(epoch FROM finished_at - admitted_at) * 1000)::bigint,
            ARRAY[50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000, 20000, 40000, 80000]::bigint[])
    END AS bucket
) AS k
GROUP BY 1, 2, 3, 4;

INSERT INTO traffic_key_days
SELECT merchant_id, (admitted_at AT TIME ZONE 'UTC')::date, spend_key_id, count(*),
    count(*) FILTER (WHERE status = 'error'),
    least(sum(input_tokens::numeric + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens
        + output_tokens), 9223372036854775807)::bigint,
    least(sum(cost), 9223372036854775807)::bigint
FROM requests WHERE spend_key_id IS NOT NULL
GROUP BY 1, 2, 3;

-- What lists of requests are chosen by beside whose they are; see `storage::requests::list`.
CREATE INDEX requests_by_model ON requests (merchant_id, left(model, 128), id) WHERE model IS NOT NULL;
CREATE INDEX requests_of_errors ON requests (merchant_id, id) WHERE status = 'error';
CREATE INDEX requests_by_first_attempt ON requests (attempt_of, id) WHERE attempt_of IS NOT NULL;
