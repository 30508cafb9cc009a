-- A sandbox's clock goes ahead of the machine's, and never back.
ALTER TABLE projects ADD COLUMN clock_offset bigint NOT NULL DEFAULT 0;  -- seconds; 0 in a live project

-- What the next requests to a sandbox are struck by.
CREATE TABLE sandbox_faults (
    project_id uuid NOT NULL REFERENCES projects (id),
    id         uuid NOT NULL,
    endpoint   text NOT NULL,               -- the route under the project, such as api/refresh; *: every one
    kind       text NOT NULL,               -- unavailable | lose_response | delay
    delay_ms   bigint NOT NULL,
    remaining  bigint NOT NULL,            -- requests that it will still strike
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, id)
);

-- Whom a reset brings back: a sealed JSON document.
CREATE TABLE sandbox_seeds (
    project_id  uuid NOT NULL REFERENCES projects (id),
    id          uuid NOT NULL,
    sealed_seed bytea NOT NULL,
    users       bigint NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id)
);
