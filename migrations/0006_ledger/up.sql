-- Transactions of the billing writer.
CREATE TABLE billing_batches (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    written_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    row_count INTEGER NOT NULL CHECK (row_count > 0),
    -- The latest instant of any record in it, in unix milliseconds: the clock never starts before it.
    latest_instant_ms BIGINT NOT NULL
);
CREATE INDEX billing_batches_by_instant ON billing_batches (latest_instant_ms);

-- Double entry, one line an account and batch. The account of a wallet or customer has his id, every other account the
-- merchant's.
CREATE TABLE ledger_entries (
    batch_id BIGINT NOT NULL REFERENCES billing_batches (id),
    merchant_id UUID NOT NULL,
    account_kind TEXT NOT NULL,
    account_id UUID NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (batch_id, account_kind, account_id)
);
CREATE INDEX ledger_entries_by_account ON ledger_entries (account_id, account_kind);

CREATE FUNCTION ledger_batch_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced BIGINT;
BEGIN
    SELECT batch_id INTO unbalanced FROM new_entries GROUP BY batch_id HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entries of batch % do not sum to zero', unbalanced USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_entries_sum_to_zero AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION ledger_batch_sums_to_zero();

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are never changed' USING ERRCODE = 'check_violation';
END
$$;
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
