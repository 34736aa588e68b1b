-- Secret keys of agents' sessions, which are in the memory of one run of the server: the next start ends what is left.
ALTER TABLE secret_keys ADD COLUMN of_one_run BOOLEAN NOT NULL DEFAULT false;
