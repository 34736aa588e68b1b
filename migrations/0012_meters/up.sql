CREATE FUNCTION is_ascending(numbers BIGINT[]) RETURNS BOOLEAN LANGUAGE SQL IMMUTABLE AS $$
    SELECT COALESCE(bool_and(numbers[place] < numbers[place + 1]), TRUE)
    FROM generate_series(1, cardinality(numbers) - 1) AS place
$$;

-- Price lists for customers' usage. A deleted meter stays for the requests that name it; its slug may be taken again.
-- Starts are in tokens, characters, minutes or requests; rates are nano-dollars, or billionths of a percent.
CREATE TABLE meters (
    id UUID PRIMARY KEY,
    merchant_id UUID NOT NULL REFERENCES merchants (id),
    slug TEXT NOT NULL CHECK (char_length(slug) BETWEEN 1 AND 100),
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    rate_type TEXT NOT NULL CHECK (rate_type IN ('fixed', 'percentage')),
    tier_type TEXT NOT NULL CHECK (tier_type IN ('tokens_1m', 'characters_1m', 'minutes', 'requests')),
    tier_starts BIGINT[] NOT NULL CHECK (cardinality(tier_starts) BETWEEN 1 AND 100),
    tier_rates BIGINT[] NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE (merchant_id, id),
    CHECK (cardinality(tier_starts) = cardinality(tier_rates)),
    CHECK (array_position(tier_starts, NULL) IS NULL AND array_position(tier_rates, NULL) IS NULL),
    CHECK (tier_starts[1] = 0 AND is_ascending(tier_starts)),
    CHECK (0 <= ALL (tier_rates))
);
CREATE UNIQUE INDEX meters_slug_key ON meters (merchant_id, slug) WHERE deleted_at IS NULL;
CREATE INDEX meters_by_merchant ON meters (merchant_id, id DESC) WHERE deleted_at IS NULL;
