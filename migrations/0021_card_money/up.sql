-- Money of cards in the ledger. The batch that holds a payment's entries stands in its row, and neither its status nor the
-- entries are ever there without the other.
ALTER TABLE payments ADD COLUMN paid_batch_id BIGINT;
ALTER TABLE payments ADD COLUMN refunded_batch_id BIGINT;

DO $$
DECLARE
    payment RECORD;
    batch BIGINT;
BEGIN
    FOR payment IN SELECT * FROM payments WHERE status IN ('paid', 'refunded') ORDER BY id LOOP
        INSERT INTO billing_batches (row_count, latest_instant_ms)
            VALUES (1, (extract(epoch FROM payment.created_at) * 1000)::bigint) RETURNING id INTO batch;
        INSERT INTO ledger_entries (batch_id, merchant_id, account_kind, account_id, amount) VALUES
            (batch, payment.merchant_id, 'card_money', payment.merchant_id, payment.amount),
            (batch, payment.merchant_id, 'card_sales', payment.merchant_id, -payment.amount);
        UPDATE payments SET paid_batch_id = batch WHERE id = payment.id;
        CONTINUE WHEN payment.status <> 'refunded';
        INSERT INTO billing_batches (row_count, latest_instant_ms)
            VALUES (1, (extract(epoch FROM payment.created_at) * 1000)::bigint) RETURNING id INTO batch;
        INSERT INTO ledger_entries (batch_id, merchant_id, account_kind, account_id, amount) VALUES
            (batch, payment.merchant_id, 'card_money', payment.merchant_id, -payment.amount),
            (batch, payment.merchant_id, 'card_sales', payment.merchant_id, payment.amount);
        UPDATE payments SET refunded_batch_id = batch WHERE id = payment.id;
    END LOOP;
END
$$;

ALTER TABLE payments ADD CONSTRAINT payments_paid_batch UNIQUE (paid_batch_id);
ALTER TABLE payments ADD CONSTRAINT payments_refunded_batch UNIQUE (refunded_batch_id);
ALTER TABLE payments ADD CONSTRAINT payments_paid_in_ledger
    FOREIGN KEY (paid_batch_id) REFERENCES billing_batches (id);
ALTER TABLE payments ADD CONSTRAINT payments_refunded_in_ledger
    FOREIGN KEY (refunded_batch_id) REFERENCES billing_batches (id);
ALTER TABLE payments ADD CONSTRAINT payments_paid_check
    CHECK ((status IN ('paid', 'refunded')) = (paid_batch_id IS NOT NULL));
ALTER TABLE payments ADD CONSTRAINT payments_refunded_check
    CHECK ((status = 'refunded') = (refunded_batch_id IS NOT NULL));
