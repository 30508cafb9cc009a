-- What people have allowed applications of others.
CREATE TABLE consents (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    client_id  uuid NOT NULL,
    scopes     text NOT NULL,               -- JSON list
    resources  text NOT NULL,               -- JSON list: identifiers of resource servers
    claims     text NOT NULL,               -- JSON list: claims beyond those of the scopes
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id, client_id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);
CREATE INDEX consents_client ON consents (project_id, client_id);

-- What pairwise subjects of a project are made with: made once, and never changed, or everybody would be somebody else.
CREATE TABLE subject_salts (
    project_id  uuid NOT NULL REFERENCES projects (id),
    id          uuid NOT NULL,
    sealed_salt bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id)
);
