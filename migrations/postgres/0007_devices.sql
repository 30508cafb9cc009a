-- Devices that wait for somebody to sign in elsewhere (RFC 8628). Of both codes there is only a hash: the device's is 256
-- random bits, the person's is short, so its hash is keyed.
CREATE TABLE device_grants (
    project_id       uuid NOT NULL,
    id               uuid NOT NULL,
    client_id        uuid NOT NULL,
    device_code_hash bytea NOT NULL,
    user_code_hash   bytea NOT NULL,
    state            text NOT NULL,         -- pending | approved | denied | consumed
    scope            text NOT NULL,
    requested_scope  text,
    audience         text NOT NULL,
    user_agent       text NOT NULL,         -- of the device, like the address
    address          text NOT NULL,
    poll_seconds     bigint NOT NULL,      -- the device may ask as often; it grows when it asks more often
    next_poll_at     timestamptz NOT NULL,
    user_id          uuid,                  -- from here on: who approved, with the epochs that were read with the approval
    auth_time        timestamptz,
    amr              text,
    acr              text,
    project_epoch    bigint,
    client_epoch     bigint,
    user_epoch       bigint,
    family_id        uuid,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX device_grants_device_code ON device_grants (project_id, device_code_hash);
CREATE UNIQUE INDEX device_grants_user_code ON device_grants (project_id, user_code_hash);
CREATE INDEX device_grants_user ON device_grants (project_id, user_id);
CREATE INDEX device_grants_expiry ON device_grants (expires_at);

-- How often codes were entered that nobody knows: by a browser, from an address, in a project.
CREATE TABLE user_code_failures (
    project_id uuid NOT NULL REFERENCES projects (id),
    subject    bytea NOT NULL,               -- keyed hash of whoever it is
    failures   bigint NOT NULL,
    expires_at timestamptz NOT NULL,            -- when the count begins anew
    PRIMARY KEY (project_id, subject)
);
CREATE INDEX user_code_failures_expiry ON user_code_failures (expires_at);
