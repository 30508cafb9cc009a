-- What was mailed to somebody to be followed once: a new password, a mail address, an account. A link that was followed is gone.
CREATE TABLE mail_links (
    project_id     blob NOT NULL REFERENCES projects (id),
    id             blob NOT NULL,
    kind           text NOT NULL,           -- new-password | verify-address | change-address | sign-up | invitation
    token_hash     blob NOT NULL,           -- SHA-256 of the token
    user_id        blob,                    -- null: of somebody who has no account yet
    project_epoch  integer NOT NULL,        -- as all epochs here, read when the link was made
    user_epoch     integer,
    browser_epoch  integer,
    sealed_content blob NOT NULL,           -- the address, and what goes on from there
    created_at     integer NOT NULL,
    expires_at     integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX mail_links_token ON mail_links (project_id, token_hash);
CREATE INDEX mail_links_user ON mail_links (project_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX mail_links_expiry ON mail_links (expires_at);
