ALTER TABLE subscriptions DROP COLUMN recent_payments;
DROP INDEX subscriptions_by_end;
DROP TABLE payments;
DROP TABLE payment_methods;
DROP TABLE payers;
DROP TABLE checkout_sessions;
