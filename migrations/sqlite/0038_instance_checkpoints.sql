-- The chain of the instance has checkpoints as well, and no row among the projects: no foreign key, as for `audit_heads`.
ALTER TABLE audit_checkpoints RENAME TO audit_checkpoints_before;
CREATE TABLE audit_checkpoints (
    project_id blob NOT NULL,
    seq        integer NOT NULL,
    at         integer NOT NULL,
    kid        text NOT NULL,
    jws        text NOT NULL,
    PRIMARY KEY (project_id, seq)
);
INSERT INTO audit_checkpoints (project_id, seq, at, kid, jws) SELECT project_id, seq, at, kid, jws FROM audit_checkpoints_before;
DROP TABLE audit_checkpoints_before;
