-- What projects show as their logo: pictures whose bytes were looked at. The project's settings name the one that counts.
CREATE TABLE project_logos (
    project_id uuid NOT NULL REFERENCES projects (id),
    name       text NOT NULL,               -- made of its content
    picture    bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id)
);
