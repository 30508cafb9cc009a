-- Logout tokens in the outbox (OpenID Connect Back-Channel Logout 1.0): a row for each token family that ended, with the family's id.

-- Whether the client's settings name an address for them, so that what ends families lists only those of such clients.
ALTER TABLE clients ADD COLUMN backchannel_logout boolean NOT NULL DEFAULT FALSE;

ALTER TABLE outbox ADD COLUMN client_id uuid;       -- whom a logout token is for
ALTER TABLE outbox ADD COLUMN user_id uuid;         -- whose session it was; null once delivered
ALTER TABLE outbox ADD COLUMN retried_at timestamptz; -- when an admin had a dead message sent again; its life begins there
CREATE INDEX outbox_state ON outbox (project_id, state, id);

-- From which origins browsers may call a project: each one that a client of it registered.
CREATE TABLE client_origins (
    project_id uuid NOT NULL,
    origin     text NOT NULL,
    client_id  uuid NOT NULL,
    PRIMARY KEY (project_id, origin, client_id),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);
CREATE INDEX client_origins_client ON client_origins (project_id, client_id);
