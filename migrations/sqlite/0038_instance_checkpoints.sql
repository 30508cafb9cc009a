-- The chain of the instance has checkpoints as well, and no row among the projects: no foreign key, as for `audit_heads`.
CREATE TABLE audit_checkpoints_of_all (
    project_id blob NOT NULL,
    seq        integer NOT NULL,
    at         integer NOT NULL,
    kid        text NOT NULL,
    jws        text NOT NULL,
    PRIMARY KEY (project_id, seq)
);
INSERT INTO audit_checkpoints_of_all (project_id, seq, at, kid, jws) SELECT project_id, seq, at, kid, jws FROM audit_checkpoints;
DROP TABLE audit_checkpoints;
ALTER TABLE audit_checkpoints_of_all RENAME TO audit_checkpoints;
