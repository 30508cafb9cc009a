-- A dead letter keeps its body while its user lives, so that it can be sent again; one to nobody with an account for 7 days after it
-- was written. This is how the clean-up finds those.
CREATE INDEX outbox_dead_letters ON outbox (created_at)
  WHERE state = 'dead' AND kind = 'mail' AND user_id IS NULL AND sealed_body IS NOT NULL;
-- Sandboxes whose clock goes ahead, for the job that executes their deletions by it.
CREATE INDEX projects_ahead ON projects (id) WHERE clock_offset > 0;
