DROP TABLE ledger_entries;
DROP FUNCTION ledger_is_append_only();
DROP FUNCTION ledger_batch_sums_to_zero();
DROP TABLE billing_batches;
