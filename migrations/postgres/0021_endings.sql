-- Clients and projects that ended as a whole, until every application that lost sessions with them is owed a logout token.
CREATE TABLE endings (
    project_id uuid NOT NULL REFERENCES projects (id),
    of_id      uuid NOT NULL,               -- the client, or the project itself
    epoch      bigint NOT NULL,             -- which the families carry that ended
    ended_at   timestamptz NOT NULL,
    told_up_to uuid NOT NULL,               -- the last family that was looked at
    PRIMARY KEY (project_id, of_id, epoch)
);
CREATE INDEX endings_age ON endings (ended_at);
