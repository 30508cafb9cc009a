-- The built-in project, whose users are admins. One row at most: its slug is unique.
CREATE TABLE admin_home (
    project_id blob PRIMARY KEY REFERENCES projects (id),
    client_id  blob NOT NULL,               -- the built-in client
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);

-- What each of them may do, and where.
CREATE TABLE admin_grants (
    project_id  blob NOT NULL,              -- the built-in project
    id          blob NOT NULL,
    user_id     blob NOT NULL,
    for_project blob NOT NULL,              -- the nil id: every project
    role        text NOT NULL,              -- owner | admin | user_manager | auditor
    created_at  integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX admin_grants_of_user ON admin_grants (project_id, user_id, for_project);
CREATE INDEX admin_grants_for_project ON admin_grants (project_id, for_project);
