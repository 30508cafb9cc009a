-- What the project's key has signed of its chain: number and hash of an entry, at a moment. Kept, never changed.
CREATE TABLE audit_checkpoints (
    project_id uuid NOT NULL REFERENCES projects (id),
    seq        bigint NOT NULL,
    at         timestamptz NOT NULL,
    kid        text NOT NULL,
    jws        text NOT NULL,               -- compact JWS; its header has the public key
    PRIMARY KEY (project_id, seq)
);
