-- Why somebody is not told of the deletion, in the words of whoever asked for it.
ALTER TABLE deletions ADD COLUMN notify_reason text;
-- The deletion that a link objects to. Such a link rests on that deletion alone, and not on the epochs, which the deletion has raised.
ALTER TABLE mail_links ADD COLUMN deletion_id uuid;
-- All deletions of somebody.
CREATE INDEX deletions_user ON deletions (project_id, user_id);
