-- What may be used once: the `jti` of a client's assertion or of a DPoP proof. The insert is the verdict.
CREATE TABLE used_jtis (
    project_id blob NOT NULL REFERENCES projects (id),
    kind       text NOT NULL,               -- client_assertion | dpop_proof
    hash       blob NOT NULL,               -- SHA-256 of who used it and the jti
    expires_at integer NOT NULL,            -- what it stands in is refused from then on
    PRIMARY KEY (project_id, kind, hash)
);
CREATE INDEX used_jtis_expiry ON used_jtis (expires_at);

-- What the application asked for, where it is not what was granted: a refresh may repeat it.
ALTER TABLE authorization_codes ADD COLUMN requested_scope text;
ALTER TABLE token_families ADD COLUMN requested_scope text;
