-- What was used in each quarter of an hour, which is the largest step that fits the days of every zone. A row is of a
-- merchant's whole usage (his id is the owner's), of a spend key, of a meter, or of a customer with one of his meters.
-- The billing writer adds to it in the transaction that writes the requests.
CREATE TABLE usage_quarters (
    merchant_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    -- A customer's; the nil UUID where the owner is no customer.
    meter_id UUID NOT NULL,
    -- When the quarter begins.
    quarter TIMESTAMPTZ NOT NULL
        CHECK (quarter = date_bin('15 minutes', quarter, TIMESTAMPTZ '2000-01-01 00:00:00+00')),
    request_count BIGINT NOT NULL CHECK (request_count >= 0),
    tokens BIGINT NOT NULL CHECK (tokens >= 0),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    charge BIGINT NOT NULL CHECK (charge >= 0),
    PRIMARY KEY (merchant_id, owner_id, meter_id, quarter)
) WITH (fillfactor = 80);

-- Nothing is written between the sums and their table.
LOCK TABLE requests IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO usage_quarters
SELECT r.merchant_id, o.owner_id, o.meter_id,
    date_bin('15 minutes', r.admitted_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'),
    count(*),
    least(sum(r.input_tokens::numeric + r.cache_read_tokens + r.cache_write_tokens + r.cache_write_1h_tokens
        + r.output_tokens), 9223372036854775807)::bigint,
    least(sum(r.cost), 9223372036854775807)::bigint,
    least(sum(r.charge), 9223372036854775807)::bigint
FROM requests r
CROSS JOIN (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS nil) AS n
CROSS JOIN LATERAL (
    SELECT r.merchant_id AS owner_id, n.nil AS meter_id
    UNION ALL SELECT r.spend_key_id, n.nil WHERE r.spend_key_id IS NOT NULL
    UNION ALL SELECT r.meter_id, n.nil WHERE r.meter_id IS NOT NULL
    UNION ALL SELECT r.customer_id, coalesce(r.meter_id, n.nil) WHERE r.customer_id IS NOT NULL
) AS o
GROUP BY 1, 2, 3, 4;

-- The lists of requests go through one of these backwards from their cursor; see `storage::requests::list`.
DROP INDEX requests_by_merchant;
DROP INDEX requests_by_spend_key;
DROP INDEX requests_by_customer;
DROP INDEX requests_by_meter;
CREATE INDEX requests_by_merchant ON requests (merchant_id, id);
CREATE INDEX requests_by_spend_key ON requests (spend_key_id, id) WHERE spend_key_id IS NOT NULL;
CREATE INDEX requests_by_customer ON requests (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX requests_by_meter ON requests (meter_id, id) WHERE meter_id IS NOT NULL;
CREATE INDEX requests_by_customer_and_meter ON requests (customer_id, meter_id, id)
    WHERE customer_id IS NOT NULL AND meter_id IS NOT NULL;
