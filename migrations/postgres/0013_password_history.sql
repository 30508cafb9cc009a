-- Passwords that a user had before, for projects that let none of them be used again.
CREATE TABLE password_history (
    project_id uuid NOT NULL,
    id         uuid NOT NULL,
    user_id    uuid NOT NULL,
    secret     text NOT NULL,               -- argon2id in PHC form
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX password_history_user ON password_history (project_id, user_id, id);
