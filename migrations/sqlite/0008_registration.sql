-- Who may register clients without an admin (RFC 7591, 3), and how many.
CREATE TABLE initial_access_tokens (
    project_id blob NOT NULL REFERENCES projects (id),
    id         blob NOT NULL,
    hash       blob NOT NULL,               -- SHA-256 of the token
    name       text NOT NULL,
    max_uses   integer NOT NULL,
    uses       integer NOT NULL,
    created_at integer NOT NULL,
    expires_at integer NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX initial_access_tokens_hash ON initial_access_tokens (project_id, hash);
CREATE INDEX initial_access_tokens_expiry ON initial_access_tokens (expires_at);

-- What a client manages its own registration by (RFC 7592, 1.3). A client that an admin made has none.
CREATE TABLE registrations (
    project_id              blob NOT NULL,
    client_id               blob NOT NULL,
    hash                    blob NOT NULL,  -- SHA-256 of the registration access token
    initial_access_token_id blob NOT NULL,  -- which may be gone
    created_at              integer NOT NULL,
    PRIMARY KEY (project_id, client_id),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);
