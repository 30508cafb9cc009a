-- A sign-in of which something is proven, and more is needed. The aim and the challenge are sealed under a key that only
-- the browser's cookie makes.
CREATE TABLE sign_ins_in_progress (
    project_id       uuid NOT NULL,
    id               uuid NOT NULL,
    token_hash       bytea NOT NULL,           -- of the browser's cookie, another one after each proof
    user_id          uuid NOT NULL,
    project_epoch    bigint NOT NULL,         -- these three: read with the first proof, and never again
    user_epoch       bigint NOT NULL,
    browser_epoch    bigint NOT NULL,
    amr              text NOT NULL,         -- JSON list of what is proven
    acr              text NOT NULL,
    auth_time        timestamptz NOT NULL,
    purpose          text NOT NULL,         -- sign_in | step_up
    replaces         bytea NOT NULL,           -- the hash of the cookie whose browser session this one takes the place of
    sealed_aim       bytea NOT NULL,
    sealed_challenge bytea,                    -- of one factor, for one answer
    failures         bigint NOT NULL,
    user_agent       text NOT NULL,
    address          text NOT NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX sign_ins_in_progress_token ON sign_ins_in_progress (project_id, token_hash);
CREATE INDEX sign_ins_in_progress_user ON sign_ins_in_progress (project_id, user_id);
CREATE INDEX sign_ins_in_progress_expiry ON sign_ins_in_progress (expires_at);

-- Authenticator apps (RFC 6238), each stored when it has shown its first code.
CREATE TABLE totp_factors (
    project_id   uuid NOT NULL,
    id           uuid NOT NULL,
    user_id      uuid NOT NULL,
    name         text NOT NULL,
    sealed_seed  bytea NOT NULL,
    last_step    bigint NOT NULL,             -- a code of this time step, or of one before it, counts no more
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX totp_factors_user ON totp_factors (project_id, user_id, id);

-- The codes are short, so their hashes have a key, and the key lies sealed: it moves with the master key.
CREATE TABLE recovery_sets (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

CREATE TABLE recovery_codes (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    code_hash  bytea NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (project_id, user_id, code_hash),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

-- Browsers that are not asked again for a second factor of this user.
CREATE TABLE remembered_devices (
    project_id    uuid NOT NULL,
    id            uuid NOT NULL,
    user_id       uuid NOT NULL,
    token_hash    bytea NOT NULL,
    browser_epoch bigint NOT NULL,            -- of the user: what raises it forgets the device
    user_agent    text NOT NULL,
    address       text NOT NULL,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX remembered_devices_token ON remembered_devices (project_id, token_hash);
CREATE INDEX remembered_devices_user ON remembered_devices (project_id, user_id, id);
CREATE INDEX remembered_devices_expiry ON remembered_devices (expires_at);
