-- What people were shown when they allowed something. `version`: the project's when the scope was made or last showed more.
ALTER TABLE scopes ADD COLUMN version integer NOT NULL DEFAULT 0;
-- JSON: by resource server ('' for the client's own audience) the scopes, each with its version.
ALTER TABLE consents ADD COLUMN pairs text NOT NULL DEFAULT '{}';
-- The project's version when the person's permission was judged: scopes that are newer were not meant.
ALTER TABLE authorization_codes ADD COLUMN scopes_as_of integer NOT NULL DEFAULT 0;
ALTER TABLE token_families ADD COLUMN scopes_as_of integer NOT NULL DEFAULT 0;
ALTER TABLE device_grants ADD COLUMN scopes_as_of integer NOT NULL DEFAULT 0;
ALTER TABLE device_grants ADD COLUMN for_resources boolean NOT NULL DEFAULT FALSE;

-- As in the settings, for whoever reads a family.
ALTER TABLE clients ADD COLUMN first_party boolean NOT NULL DEFAULT TRUE;
UPDATE clients SET first_party = COALESCE(json_extract(settings, '$.first_party'), TRUE);
CREATE INDEX clients_deleted ON clients (project_id, id) WHERE status = 'deleted';
