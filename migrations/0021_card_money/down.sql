-- The ledger is append-only: what was entered stays.
ALTER TABLE payments DROP COLUMN refunded_batch_id;
ALTER TABLE payments DROP COLUMN paid_batch_id;
