-- From layout 1 to 2. Replicas that run an older program meanwhile go on; they only cannot start any more.

-- Who reads the table for long, such as a backup, makes this wait, and this would make every other replica wait.
SET LOCAL lock_timeout = 200;

-- The columns may be there: an older program runs after `UPDATE tieline_roster SET schema = 1`.
ALTER TABLE tieline_roster_scopes
  ADD COLUMN IF NOT EXISTS steps text[] NOT NULL DEFAULT '{}',
  ADD COLUMN IF NOT EXISTS steps_to uuid;
