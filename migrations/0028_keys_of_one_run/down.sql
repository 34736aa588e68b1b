ALTER TABLE secret_keys DROP COLUMN of_one_run;
