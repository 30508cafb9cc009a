-- The stream of sign-ins, refreshes and failures: no chain, written in batches, kept for as long as the project says.
CREATE TABLE events (
    project_id uuid NOT NULL REFERENCES projects (id),
    id         uuid NOT NULL,
    at         timestamptz NOT NULL,
    kind       text NOT NULL,               -- sign_in | exchange | refresh
    outcome    text NOT NULL,               -- ok, or why not
    client_id  uuid,
    user_id    uuid,                        -- the row goes with the user
    sealed     bytea,                       -- address and user agent
    PRIMARY KEY (project_id, id)
);
CREATE INDEX events_user ON events (project_id, user_id, id) WHERE user_id IS NOT NULL;
-- What a project keeps for less than the usual 31 days is looked for by project.
CREATE INDEX token_families_project_revoked ON token_families (project_id, revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX token_families_project_expiry ON token_families (project_id, expires_at);
