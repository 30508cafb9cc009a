-- What the project's key has signed of its chain: number and hash of an entry, at a moment. Kept, never changed.
CREATE TABLE audit_checkpoints (
    project_id blob NOT NULL REFERENCES projects (id),
    seq        integer NOT NULL,
    at         integer NOT NULL,
    kid        text NOT NULL,
    jws        text NOT NULL,               -- compact JWS; its header has the public key
    PRIMARY KEY (project_id, seq)
);
