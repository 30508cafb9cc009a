-- A keyed hash of the address that a link or a letter of somebody without an account is for: whoever is deleted under that address
-- takes it along.
ALTER TABLE mail_links ADD COLUMN address_key blob;
CREATE INDEX mail_links_address ON mail_links (project_id, address_key) WHERE address_key IS NOT NULL;
ALTER TABLE outbox ADD COLUMN address_key blob;
CREATE INDEX outbox_address ON outbox (project_id, address_key) WHERE address_key IS NOT NULL;
