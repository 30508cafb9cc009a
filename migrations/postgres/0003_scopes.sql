-- Scopes and resource servers of a project's own, and what a grant carries of them.

CREATE TABLE scopes (
    project_id  uuid NOT NULL REFERENCES projects (id),
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,              -- what people are asked to allow
    claims      text NOT NULL,              -- JSON list: claims that it shows
    attributes  text NOT NULL,              -- JSON list: attributes that it shows
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE resource_servers (
    project_id uuid NOT NULL REFERENCES projects (id),
    id         uuid NOT NULL,
    identifier text COLLATE "C" NOT NULL,               -- the audience of its tokens
    name       text NOT NULL,
    scopes     text NOT NULL,               -- JSON list: those that mean something there
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX resource_servers_identifier ON resource_servers (project_id, identifier);

-- `audience` may name several from here on, separated by spaces; `for_resources`: they are resource servers that the
-- client asked for. `claims`: a JSON document of what was asked for beyond the scopes. `first_party`: whether the client was.
ALTER TABLE authorization_codes ADD COLUMN for_resources boolean NOT NULL DEFAULT FALSE;
ALTER TABLE authorization_codes ADD COLUMN claims text;
ALTER TABLE token_families ADD COLUMN for_resources boolean NOT NULL DEFAULT FALSE;
ALTER TABLE token_families ADD COLUMN claims text;
ALTER TABLE token_families ADD COLUMN first_party boolean NOT NULL DEFAULT TRUE;
-- The `sub` by which the client knows the user; null: the user's id.
ALTER TABLE token_families ADD COLUMN subject text;
