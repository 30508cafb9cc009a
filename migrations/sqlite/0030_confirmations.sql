-- What waits to be confirmed before it ends: a project, a client, many users at once.
CREATE TABLE confirmations (
    project_id      blob NOT NULL REFERENCES projects (id),
    id              blob NOT NULL,
    what            text NOT NULL,          -- project | client | users
    target_id       blob NOT NULL,
    target_version  integer NOT NULL,       -- to which a confirmation is bound
    state           text NOT NULL,          -- pending | confirmed | cancelled | expired
    method          text NOT NULL,          -- typed | second_person | second_factor
    actor           text NOT NULL,          -- who asked, e.g. admin_key:<id>
    confirmed_by    text,
    reason          text NOT NULL,          -- where one is asked for
    impact          text NOT NULL,          -- JSON document
    failed_attempts integer NOT NULL,
    requested_at    integer NOT NULL,
    expires_at      integer NOT NULL,
    finished_at     integer,
    PRIMARY KEY (project_id, id)
);
-- One open request for each target: two admins should know of each other.
CREATE UNIQUE INDEX confirmations_open ON confirmations (project_id, target_id) WHERE state = 'pending';
CREATE INDEX confirmations_age ON confirmations (expires_at);
-- How many users were deleted lately.
CREATE INDEX deletions_confirmed ON deletions (project_id, confirmed_at) WHERE confirmed_at IS NOT NULL;
CREATE INDEX deletions_executed ON deletions (project_id, finished_at) WHERE state = 'executed';
