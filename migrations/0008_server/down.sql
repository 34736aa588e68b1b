DROP TABLE instance;
DROP TABLE server_lease;
DROP TABLE journal_lanes;
