ALTER TABLE merchants DROP COLUMN default_wallet_id;
DROP TABLE wallets;
