-- Pushed authorization requests (RFC 9126). The parameters are sealed under a key made from the request_uri, of which only
-- the hash is here: whoever reads this table reads none of them.
CREATE TABLE pushed_requests (
    project_id        uuid NOT NULL,
    hash              bytea NOT NULL,        -- SHA-256 of the request_uri
    client_id         uuid NOT NULL,
    sealed_parameters bytea NOT NULL,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    PRIMARY KEY (project_id, hash),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);
CREATE INDEX pushed_requests_expiry ON pushed_requests (expires_at);

-- The thumbprint of the key that has to prove itself when the code is exchanged (RFC 9449, 10).
ALTER TABLE authorization_codes ADD COLUMN dpop_jkt text;
