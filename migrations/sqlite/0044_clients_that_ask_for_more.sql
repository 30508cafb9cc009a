-- As in the settings: whether the client asks for a second factor. Where the project asks for none, the account pages do when
-- one of its clients does.
ALTER TABLE clients ADD COLUMN asks_second_factor boolean NOT NULL DEFAULT FALSE;
UPDATE clients SET asks_second_factor = TRUE WHERE json_extract(settings, '$.second_factor') IS NOT NULL;
CREATE INDEX clients_asking ON clients (project_id) WHERE asks_second_factor;
