-- A place is known under the browser epoch of the sign-in there, so a new password ends the trust in all places of before; those
-- of the session that changes it stay. What is known today stays known.
ALTER TABLE known_places ADD COLUMN browser_epoch bigint NOT NULL DEFAULT 0;
ALTER TABLE known_places ADD COLUMN browser_session_id uuid;
UPDATE known_places SET browser_epoch = (SELECT browser_epoch FROM users
  WHERE users.project_id = known_places.project_id AND users.id = known_places.user_id);
