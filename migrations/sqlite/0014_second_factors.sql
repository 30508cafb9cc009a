-- A sign-in of which something is proven, and more is needed. The aim and the challenge are sealed under a key that only
-- the browser's cookie makes.
CREATE TABLE sign_ins_in_progress (
    project_id       blob NOT NULL,
    id               blob NOT NULL,
    token_hash       blob NOT NULL,           -- of the browser's cookie, another one after each proof
    user_id          blob NOT NULL,
    project_epoch    integer NOT NULL,         -- these three: read with the first proof, and never again
    user_epoch       integer NOT NULL,
    browser_epoch    integer NOT NULL,
    amr              text NOT NULL,         -- JSON list of what is proven
    acr              text NOT NULL,
    auth_time        integer NOT NULL,
    purpose          text NOT NULL,         -- sign_in | step_up
    replaces         blob NOT NULL,           -- the hash of the cookie whose browser session this one takes the place of
    sealed_aim       blob NOT NULL,
    sealed_challenge blob,                    -- of one factor, for one answer
    failures         integer NOT NULL,
    user_agent       text NOT NULL,
    address          text NOT NULL,
    created_at       integer NOT NULL,
    expires_at       integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX sign_ins_in_progress_token ON sign_ins_in_progress (project_id, token_hash);
CREATE INDEX sign_ins_in_progress_user ON sign_ins_in_progress (project_id, user_id);
CREATE INDEX sign_ins_in_progress_expiry ON sign_ins_in_progress (expires_at);

-- Authenticator apps (RFC 6238), each stored when it has shown its first code.
CREATE TABLE totp_factors (
    project_id   blob NOT NULL,
    id           blob NOT NULL,
    user_id      blob NOT NULL,
    name         text NOT NULL,
    sealed_seed  blob NOT NULL,
    last_step    integer NOT NULL,             -- a code of this time step, or of one before it, counts no more
    created_at   integer NOT NULL,
    last_used_at integer,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX totp_factors_user ON totp_factors (project_id, user_id, id);

-- The codes are short, so their hashes have a key, and the key lies sealed: it moves with the master key.
CREATE TABLE recovery_sets (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    sealed_key blob NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (project_id, user_id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

CREATE TABLE recovery_codes (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    code_hash  blob NOT NULL,
    used_at    integer,
    PRIMARY KEY (project_id, user_id, code_hash),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

-- Browsers that are not asked again for a second factor of this user.
CREATE TABLE remembered_devices (
    project_id    blob NOT NULL,
    id            blob NOT NULL,
    user_id       blob NOT NULL,
    token_hash    blob NOT NULL,
    browser_epoch integer NOT NULL,            -- of the user: what raises it forgets the device
    user_agent    text NOT NULL,
    address       text NOT NULL,
    created_at    integer NOT NULL,
    last_used_at  integer NOT NULL,
    expires_at    integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX remembered_devices_token ON remembered_devices (project_id, token_hash);
CREATE INDEX remembered_devices_user ON remembered_devices (project_id, user_id, id);
CREATE INDEX remembered_devices_expiry ON remembered_devices (expires_at);
