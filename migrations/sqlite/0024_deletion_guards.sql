-- What keeps a user from being deleted: a legal hold, or a protection against mistakes.
CREATE TABLE deletion_guards (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    kind       text NOT NULL,               -- legal_hold | deletion_protection
    reason     text NOT NULL,
    placed_by  text NOT NULL,               -- who, e.g. admin_key:<id>
    placed_at  integer NOT NULL,
    PRIMARY KEY (project_id, user_id, kind),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
