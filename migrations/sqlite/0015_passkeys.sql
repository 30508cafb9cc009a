-- Public keys of people's authenticators (Web Authentication, 4: public key credential source).
CREATE TABLE passkeys (
    project_id    blob NOT NULL,
    id            blob NOT NULL,
    user_id       blob NOT NULL,
    credential_id blob NOT NULL,
    user_handle   blob NOT NULL,            -- random; the same for all passkeys of a user
    rp_id         text NOT NULL,            -- all projects share one as long as the server has one host
    name          text NOT NULL,
    passkey       text NOT NULL,            -- JSON document
    counter       integer NOT NULL,         -- as in the document: what a use is conditional on
    backed_up     boolean NOT NULL,
    created_at    integer NOT NULL,
    last_used_at  integer,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX passkeys_credential ON passkeys (project_id, credential_id);
CREATE INDEX passkeys_user ON passkeys (project_id, user_id);
