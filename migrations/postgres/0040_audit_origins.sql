-- From where an act came: address and user agent, sealed. `origin_commitment` is what the hash covers, null in entries without one; the
-- other three are emptied when the person is deleted whose they are, and the last two are null where nobody is.
ALTER TABLE audit_log ADD COLUMN origin bytea;
ALTER TABLE audit_log ADD COLUMN origin_commitment bytea;
ALTER TABLE audit_log ADD COLUMN origin_project uuid;
ALTER TABLE audit_log ADD COLUMN origin_user uuid;
-- An exception from the rule that indexes begin with `project_id`: what an admin did lies in many chains.
CREATE INDEX audit_log_origin ON audit_log (origin_project, origin_user) WHERE origin_user IS NOT NULL;
