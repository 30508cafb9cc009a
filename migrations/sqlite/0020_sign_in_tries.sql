-- Wrong passwords, counted for an account as strangers try it, for an account at a place, and for an address.
CREATE TABLE sign_in_failures (
    project_id    blob NOT NULL REFERENCES projects (id),
    subject       blob NOT NULL,               -- keyed hash of whom or where it is counted for
    failures      integer NOT NULL,
    blocked_until integer NOT NULL,            -- microseconds in both engines, which count with it; 0: not blocked
    expires_at    integer NOT NULL,            -- when the count begins anew
    PRIMARY KEY (project_id, subject)
);
CREATE INDEX sign_in_failures_expiry ON sign_in_failures (expires_at);

-- Where a user has signed in from: strangers elsewhere cannot keep them out here.
CREATE TABLE known_places (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    place      blob NOT NULL,                  -- keyed hash
    created_at integer NOT NULL,
    expires_at integer NOT NULL,
    PRIMARY KEY (project_id, user_id, place),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX known_places_expiry ON known_places (expires_at);
