-- Ids and times are unsigned 64-bit numbers, kept as the signed ones with the same bits; so only the
-- program may compare or order them. Times are milliseconds since 1970.

CREATE TABLE scopes (
  id INTEGER PRIMARY KEY,
  caller TEXT NOT NULL,
  upstream TEXT NOT NULL,
  last_ended INTEGER,       -- the latest end of all sweeps; NULL before the first
  observed_until INTEGER,   -- the end of the last sweep that was an observation of its own
  doubts INTEGER NOT NULL,  -- how many observations in a row lacked more than half of the users
  UNIQUE (caller, upstream)
) STRICT;

CREATE TABLE users (
  scope INTEGER NOT NULL REFERENCES scopes (id),
  id INTEGER NOT NULL,
  name TEXT,
  group_id TEXT,
  group_name TEXT,
  teams TEXT NOT NULL,             -- a JSON array of strings, as the next
  supervised_teams TEXT NOT NULL,
  is_deleted INTEGER NOT NULL,
  absences INTEGER NOT NULL,
  seen_until INTEGER,              -- the latest end of the sweeps that saw the user; NULL: last_ended
  vanished_at INTEGER,
  PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX users_vanished ON users (scope) WHERE vanished_at IS NOT NULL;

CREATE TABLE imported (
  scope INTEGER NOT NULL REFERENCES scopes (id),
  id INTEGER NOT NULL,
  name TEXT,
  PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;
