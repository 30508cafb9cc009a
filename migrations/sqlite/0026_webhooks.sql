-- Where a project is told of what happens to its users.
CREATE TABLE webhooks (
    project_id    blob NOT NULL REFERENCES projects (id),
    id            blob NOT NULL,
    uri           text NOT NULL,
    sealed_secret blob NOT NULL,            -- signs what is sent there
    created_at    integer NOT NULL,
    PRIMARY KEY (project_id, id)
);

ALTER TABLE outbox ADD COLUMN webhook_id blob;   -- whom an event is for
