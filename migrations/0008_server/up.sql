-- How far each lane of the journal is in the tables.
CREATE TABLE journal_lanes (
    lane INTEGER PRIMARY KEY CHECK (lane >= 0),
    sequence BIGINT NOT NULL CHECK (sequence >= 0)
);

-- The one process that serves this database. A process whose epoch is not this one may write nothing.
CREATE TABLE server_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL CHECK (epoch >= 0),
    holder TEXT NOT NULL,
    acquired_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO server_lease (id, epoch, holder) VALUES (1, 0, 'nobody');

-- What this database belongs to, such as the fingerprints of the pepper and of the sealing key.
CREATE TABLE instance (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
