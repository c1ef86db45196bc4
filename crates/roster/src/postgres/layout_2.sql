-- From layout 1 to 2. Replicas that run an older program meanwhile go on; they only cannot start any more.

ALTER TABLE tieline_roster_scopes
  ADD COLUMN steps text[] NOT NULL DEFAULT '{}',
  ADD COLUMN steps_to uuid;
