-- Ids and times are unsigned 64-bit numbers, kept as the signed ones with the same bits; so only the
-- program may compare or order them. Times are milliseconds since 1970, by the database's clock.

CREATE TABLE tieline_roster (
  schema integer NOT NULL   -- one row: the number of this layout
);

CREATE TABLE tieline_roster_scopes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  caller text COLLATE "C" NOT NULL,
  upstream text COLLATE "C" NOT NULL,
  last_ended bigint,         -- the latest end of all sweeps; NULL before the first
  observed_until bigint,     -- the end of the last sweep that was an observation of its own
  doubts smallint NOT NULL,  -- how many observations in a row lacked more than half of the users
  -- Another one whenever rows of users change. A number that counts would be the same for two different
  -- contents after a failover that has lost what was committed last.
  version uuid NOT NULL DEFAULT gen_random_uuid(),
  -- The last changes of users, the newest last: the version before each, and the ids of the users, between blanks.
  -- Only if steps_to is the version do they lead to it; a program of layout 1 changes only the version.
  steps text[] NOT NULL DEFAULT '{}',
  steps_to uuid,
  UNIQUE (caller, upstream)
);

CREATE TABLE tieline_roster_users (
  scope bigint NOT NULL REFERENCES tieline_roster_scopes (id),
  id bigint NOT NULL,
  name text,
  group_id text,
  group_name text,
  teams text NOT NULL,             -- a JSON array of strings, as the next
  supervised_teams text NOT NULL,
  is_deleted boolean NOT NULL,
  absences smallint NOT NULL,
  seen_until bigint,               -- the latest end of the sweeps that saw the user; NULL: last_ended
  vanished_at bigint,
  PRIMARY KEY (scope, id)
);

CREATE INDEX tieline_roster_users_vanished ON tieline_roster_users (scope)
  WHERE vanished_at IS NOT NULL;

CREATE TABLE tieline_roster_imported (
  scope bigint NOT NULL REFERENCES tieline_roster_scopes (id),
  id bigint NOT NULL,
  name text,
  PRIMARY KEY (scope, id)
);
