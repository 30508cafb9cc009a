-- The deletion of many users at once: asked for, confirmed once, and carried out by a job, one user after the other.
CREATE TABLE bulk_deletions (
    project_id   uuid NOT NULL REFERENCES projects (id),
    id           uuid NOT NULL,
    state        text NOT NULL,             -- gathering | pending | running | done | cancelled | expired
    method       text NOT NULL,             -- typed | second_person | second_factor
    actor        text NOT NULL,             -- who asked, e.g. admin_key:<id>
    confirmed_by text,
    reason       text NOT NULL,
    notify       boolean NOT NULL,
    notify_reason text,                     -- why users are not told
    restore_days bigint NOT NULL,          -- as the project had it at the request
    users        bigint NOT NULL,          -- how many were asked for
    requested_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    confirmed_at timestamptz,
    finished_at  timestamptz,
    PRIMARY KEY (project_id, id)
);
-- One that waits at a time: two admins should know of each other.
CREATE UNIQUE INDEX bulk_deletions_open ON bulk_deletions (project_id) WHERE state = 'pending';
CREATE INDEX bulk_deletions_running ON bulk_deletions (confirmed_at) WHERE state = 'running';
CREATE INDEX bulk_deletions_age ON bulk_deletions (expires_at);

-- What becomes of each of them.
CREATE TABLE bulk_deletion_users (
    project_id   uuid NOT NULL,
    bulk_id      uuid NOT NULL,
    user_id      uuid NOT NULL,
    user_version bigint NOT NULL,          -- to which the confirmation is bound
    outcome      text,                      -- null while the user waits
    deletion_id  uuid,
    attempts     bigint NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (project_id, bulk_id, user_id),
    FOREIGN KEY (project_id, bulk_id) REFERENCES bulk_deletions (project_id, id)
);
CREATE INDEX bulk_deletion_users_waiting ON bulk_deletion_users (project_id, bulk_id, user_id) WHERE outcome IS NULL;
-- What a user changes of the own record takes it along.
CREATE INDEX bulk_deletion_users_user ON bulk_deletion_users (project_id, user_id) WHERE outcome IS NULL;
