-- What stays of requests that were purged: the sums by which the books are proved, written in the statement that deletes
-- the rows. One row of a merchant and spend key.
CREATE TABLE purged_requests (
    merchant_id UUID NOT NULL,
    -- The nil UUID: of no spend key.
    spend_key_id UUID NOT NULL,
    request_count BIGINT NOT NULL CHECK (request_count >= 0),
    -- Without the further attempts of a call that was sent on.
    call_count BIGINT NOT NULL CHECK (call_count BETWEEN 0 AND request_count),
    -- Those that a merchant reported under an id of his own.
    report_count BIGINT NOT NULL CHECK (report_count BETWEEN 0 AND request_count),
    cost BIGINT NOT NULL CHECK (cost >= 0),
    -- Of the cost, what was paid with the operator's credentials.
    managed_cost BIGINT NOT NULL CHECK (managed_cost BETWEEN 0 AND cost),
    charge BIGINT NOT NULL CHECK (charge >= 0),
    customer_charge BIGINT NOT NULL CHECK (customer_charge BETWEEN 0 AND charge),
    -- What was charged for, in the units of the meters.
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (merchant_id, spend_key_id)
);

-- Ids of a merchant's own that are good for no other request, though the one that had them is purged. Only a hash of the
-- id is kept.
CREATE TABLE purged_reports (
    merchant_id UUID NOT NULL,
    caller_id_hash BYTEA NOT NULL CHECK (octet_length(caller_id_hash) = 32),
    PRIMARY KEY (merchant_id, caller_id_hash)
);
