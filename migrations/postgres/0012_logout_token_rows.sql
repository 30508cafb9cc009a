-- What a logout token says stands in its row, as it was when the session began, whatever is registered when it is sent.
ALTER TABLE outbox ADD COLUMN family_id uuid;   -- the session that it tells of; a row may have an id of its own
ALTER TABLE outbox ADD COLUMN subject text;     -- by which the client knows the user; null: the user's id. Erased with user_id
UPDATE outbox SET family_id = id,
  subject = (SELECT f.subject FROM token_families f WHERE f.project_id = outbox.project_id AND f.id = outbox.id)
WHERE kind = 'logout_token' AND user_id IS NOT NULL;

CREATE INDEX outbox_user ON outbox (project_id, user_id) WHERE user_id IS NOT NULL;
