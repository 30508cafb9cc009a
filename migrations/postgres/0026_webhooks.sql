-- Where a project is told of what happens to its users.
CREATE TABLE webhooks (
    project_id    uuid NOT NULL REFERENCES projects (id),
    id            uuid NOT NULL,
    uri           text NOT NULL,
    sealed_secret bytea NOT NULL,            -- signs what is sent there
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (project_id, id)
);

ALTER TABLE outbox ADD COLUMN webhook_id uuid;   -- whom an event is for
