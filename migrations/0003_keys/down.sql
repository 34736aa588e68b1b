DROP TABLE wallet_keys;
DROP TABLE secret_keys;
