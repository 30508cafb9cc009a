-- What was mailed to somebody to be followed once: a new password, a mail address, an account. A link that was followed is gone.
CREATE TABLE mail_links (
    project_id     uuid NOT NULL REFERENCES projects (id),
    id             uuid NOT NULL,
    kind           text NOT NULL,           -- new-password | verify-address | change-address | sign-up | invitation
    token_hash     bytea NOT NULL,          -- SHA-256 of the token
    user_id        uuid,                    -- null: of somebody who has no account yet
    project_epoch  bigint NOT NULL,        -- as all epochs here, read when the link was made
    user_epoch     bigint,
    browser_epoch  bigint,
    sealed_content bytea NOT NULL,           -- the address, and what goes on from there
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX mail_links_token ON mail_links (project_id, token_hash);
CREATE INDEX mail_links_user ON mail_links (project_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX mail_links_expiry ON mail_links (expires_at);
