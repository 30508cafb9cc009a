-- ES256 keys that a project ever had: what they signed of its audit log is proven when they are gone, and when the project is.
CREATE TABLE audit_signers (
    project_id uuid NOT NULL,
    kid        text NOT NULL,
    PRIMARY KEY (project_id, kid)
);
INSERT INTO audit_signers (project_id, kid) SELECT project_id, kid FROM signing_keys WHERE alg = 'ES256';
