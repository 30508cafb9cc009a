-- Every primary key, unique index and foreign key begins with project_id, so that the schema can be sharded by project.
-- Exceptions, named here: projects (its id is the project id), projects.slug, admin_keys (some serve all projects), jobs (per instance),
-- erasures and erasure_head (one ledger for the instance).
-- Whatever is hashed, signed or merely carried is text, never a binary form, which reorders keys.

CREATE TABLE projects (
    id          blob PRIMARY KEY,
    slug        text NOT NULL,
    name        text NOT NULL,
    kind        text NOT NULL,              -- live | sandbox
    issuer      text NOT NULL,              -- {base_url}/projects/{slug}, fixed when the project is made
    status      text NOT NULL,              -- active | disabled | deleted
    token_epoch integer NOT NULL,
    version     integer NOT NULL,
    settings    text NOT NULL,              -- JSON document
    created_at  integer NOT NULL,
    updated_at  integer NOT NULL,
    emptied_at  integer                 -- when a deleted project's rows were gone
);
CREATE UNIQUE INDEX projects_slug ON projects (slug);
CREATE INDEX projects_deleted ON projects (updated_at) WHERE status = 'deleted' AND emptied_at IS NULL;

CREATE TABLE signing_keys (
    project_id     blob NOT NULL REFERENCES projects (id),
    kid            text NOT NULL,
    alg            text NOT NULL,           -- ES256 | RS256 | EdDSA
    state          text NOT NULL,           -- next | current | retired
    public_jwk     text NOT NULL,
    sealed_private blob NOT NULL,
    created_at     integer NOT NULL,
    signs_from     integer NOT NULL,
    retired_at     integer,
    expires_at     integer,
    PRIMARY KEY (project_id, kid)
);
-- One current and one next key per algorithm: a race to make one has one winner.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (project_id, alg) WHERE state = 'current';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (project_id, alg) WHERE state = 'next';
CREATE INDEX signing_keys_retired ON signing_keys (expires_at) WHERE state = 'retired';

CREATE TABLE clients (
    project_id   blob NOT NULL REFERENCES projects (id),
    id           blob NOT NULL,
    client_name  text NOT NULL,
    type         text NOT NULL,             -- confidential | public | service
    status       text NOT NULL,             -- active | disabled | deleted
    token_epoch  integer NOT NULL,
    version      integer NOT NULL,
    shortened_in bigint NOT NULL,           -- the version that shortened the lifetimes of its tokens last; 0: none
    settings     text NOT NULL,             -- JSON document: RFC 7591 metadata and ours
    created_at   integer NOT NULL,
    updated_at   integer NOT NULL,
    PRIMARY KEY (project_id, id)
);

CREATE TABLE client_secrets (
    project_id blob NOT NULL,
    client_id  blob NOT NULL,
    slot       integer NOT NULL CHECK (slot IN (1, 2)),
    hash       blob NOT NULL,              -- SHA-256
    created_at integer NOT NULL,
    expires_at integer,
    PRIMARY KEY (project_id, client_id, slot),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);

CREATE TABLE users (
    project_id      blob NOT NULL REFERENCES projects (id),
    id              blob NOT NULL,
    status          text NOT NULL,          -- active | disabled | deleted (a tombstone: everything personal is null)
    username        text,
    username_key    text,       -- NFKC, lower case
    email           text,
    email_key       text,
    email_verified  boolean NOT NULL,
    profile         text NOT NULL,          -- JSON document: standard claims
    token_epoch     integer NOT NULL,
    browser_epoch   integer NOT NULL,
    version         integer NOT NULL,
    roles           text NOT NULL,          -- JSON list, resolved
    groups          text NOT NULL,          -- JSON list, resolved
    attributes      text NOT NULL,          -- JSON document, resolved
    last_sign_in_at integer,
    created_at      integer NOT NULL,
    updated_at      integer NOT NULL,
    deleted_at      integer,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX users_username ON users (project_id, username_key);
CREATE INDEX users_email ON users (project_id, email_key);
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE attribute_definitions (
    project_id      blob NOT NULL REFERENCES projects (id),
    name            text NOT NULL,
    type            text NOT NULL,          -- string | number | boolean | string_list
    description     text NOT NULL,
    user_writable   boolean NOT NULL,
    in_access_token boolean NOT NULL,
    max_bytes       integer NOT NULL,
    created_at      integer NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE roles (
    project_id  blob NOT NULL REFERENCES projects (id),
    name        text NOT NULL,
    description text NOT NULL,
    created_at  integer NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE groups (
    project_id  blob NOT NULL REFERENCES projects (id),
    name        text NOT NULL,
    description text NOT NULL,
    created_at  integer NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- Who holds what is for listing, and for taking it back; what tokens and verification read stands resolved on the user's row.
CREATE TABLE user_roles (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    role       text NOT NULL,
    PRIMARY KEY (project_id, user_id, role),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, role) REFERENCES roles (project_id, name)
);
CREATE INDEX user_roles_role ON user_roles (project_id, role, user_id);

CREATE TABLE user_groups (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    group_name text NOT NULL,
    PRIMARY KEY (project_id, user_id, group_name),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, group_name) REFERENCES groups (project_id, name)
);
CREATE INDEX user_groups_group ON user_groups (project_id, group_name, user_id);

CREATE TABLE user_attributes (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    attribute  text NOT NULL,
    PRIMARY KEY (project_id, user_id, attribute),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, attribute) REFERENCES attribute_definitions (project_id, name)
);
CREATE INDEX user_attributes_attribute ON user_attributes (project_id, attribute, user_id);

CREATE TABLE credentials (
    project_id blob NOT NULL,
    id         blob NOT NULL,
    user_id    blob NOT NULL,
    kind       text NOT NULL,               -- password
    secret     text NOT NULL,               -- argon2id in PHC form
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX credentials_user ON credentials (project_id, user_id);
CREATE UNIQUE INDEX credentials_password ON credentials (project_id, user_id) WHERE kind = 'password';

-- The data key under which the audit log keeps what is personal; deletion destroys it.
CREATE TABLE user_keys (
    project_id blob NOT NULL,
    user_id    blob NOT NULL,
    sealed_key blob NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (project_id, user_id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

CREATE TABLE browser_sessions (
    project_id    blob NOT NULL,
    id            blob NOT NULL,
    token_hash    blob NOT NULL,
    user_id       blob NOT NULL,
    project_epoch integer NOT NULL,
    user_epoch    integer NOT NULL,
    browser_epoch integer NOT NULL,
    auth_time     integer NOT NULL,
    amr           text NOT NULL,            -- JSON list
    acr           text NOT NULL,
    user_agent    text NOT NULL,
    address       text NOT NULL,
    created_at    integer NOT NULL,
    expires_at    integer NOT NULL,
    ended_at      integer,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX browser_sessions_token ON browser_sessions (project_id, token_hash);
CREATE INDEX browser_sessions_user ON browser_sessions (project_id, user_id, id);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);
CREATE INDEX browser_sessions_ended ON browser_sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE authorization_codes (
    project_id         blob NOT NULL,
    code_hash          blob NOT NULL,
    client_id          blob NOT NULL,
    user_id            blob NOT NULL,
    browser_session_id blob,
    redirect_uri       text NOT NULL,
    code_challenge     text,                -- S256 only
    scope              text NOT NULL,
    nonce              text,
    audience           text NOT NULL,
    auth_time          integer NOT NULL,
    amr                text NOT NULL,
    acr                text NOT NULL,
    user_agent         text NOT NULL,
    address            text NOT NULL,
    project_epoch      integer NOT NULL,
    client_epoch       integer NOT NULL,
    user_epoch         integer NOT NULL,
    created_at         integer NOT NULL,
    expires_at         integer NOT NULL,
    consumed_at        integer,
    family_id          blob,
    PRIMARY KEY (project_id, code_hash),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX authorization_codes_user ON authorization_codes (project_id, user_id);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

CREATE TABLE token_families (
    project_id         blob NOT NULL,
    id                 blob NOT NULL,       -- the sid claim
    client_id          blob NOT NULL,
    user_id            blob NOT NULL,
    browser_session_id blob,
    client_version     integer NOT NULL,    -- of the client whose settings its lifetimes were judged by
    offline            boolean NOT NULL,
    scope              text NOT NULL,
    audience           text NOT NULL,
    nonce              text,
    auth_time          integer NOT NULL,
    amr                text NOT NULL,
    acr                text NOT NULL,
    cnf_jkt            text,
    user_agent         text NOT NULL,
    address            text NOT NULL,
    seq                integer NOT NULL,
    prev_seq           integer,
    rotated_at         integer NOT NULL,
    mac_key_id         text NOT NULL,       -- the master key under which the newest refresh token was made
    used_at            integer NOT NULL,
    idle_expires_at    integer NOT NULL,
    expires_at         integer NOT NULL,
    revoked_at         integer,
    revoked_reason     text,
    project_epoch      integer NOT NULL,
    client_epoch       integer NOT NULL,
    user_epoch         integer NOT NULL,
    created_at         integer NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX token_families_user ON token_families (project_id, user_id, client_id);
CREATE INDEX token_families_client ON token_families (project_id, client_id);
CREATE INDEX token_families_browser ON token_families (project_id, browser_session_id);
CREATE INDEX token_families_expiry ON token_families (expires_at);
CREATE INDEX token_families_revoked ON token_families (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE revoked_tokens (
    project_id blob NOT NULL REFERENCES projects (id),
    jti        text NOT NULL,
    expires_at integer NOT NULL,
    PRIMARY KEY (project_id, jti)
);
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);

CREATE TABLE admin_keys (
    id         blob PRIMARY KEY,
    project_id blob REFERENCES projects (id),  -- null: every project
    name       text NOT NULL,
    role       text NOT NULL,               -- owner | admin | user_manager | auditor
    hash       blob NOT NULL,              -- SHA-256
    created_at integer NOT NULL,
    revoked_at integer
);
CREATE UNIQUE INDEX admin_keys_hash ON admin_keys (hash);

CREATE TABLE deletions (
    project_id      blob NOT NULL REFERENCES projects (id),
    id              blob NOT NULL,
    user_id         blob NOT NULL,
    user_version    integer NOT NULL,
    state           text NOT NULL,          -- pending | scheduled | executed | cancelled | expired
    method          text NOT NULL,          -- typed | second_person
    restore_days    integer NOT NULL,       -- between confirmation and execution, as the project had it at the request
    actor           text NOT NULL,          -- who asked, e.g. admin_key:<id>
    reason          text NOT NULL,
    notify          boolean NOT NULL,
    impact          text NOT NULL,          -- JSON document
    failed_attempts integer NOT NULL,
    requested_at    integer NOT NULL,
    expires_at      integer NOT NULL,
    confirmed_by    text,
    confirmed_at    integer,
    execute_at      integer,                -- the end of the restore window
    former_status   text,                   -- what cancelling a scheduled one gives back
    finished_at     integer,
    swept_at        integer,                -- when a job looked for what was written beside it
    PRIMARY KEY (project_id, id)
);
CREATE INDEX deletions_unconfirmed ON deletions (expires_at) WHERE state IN ('pending', 'expired');
-- One open deletion for each user.
CREATE UNIQUE INDEX deletions_open ON deletions (project_id, user_id) WHERE state IN ('pending', 'scheduled');
CREATE INDEX deletions_scheduled ON deletions (execute_at) WHERE state = 'scheduled';
CREATE INDEX deletions_unswept ON deletions (finished_at) WHERE state = 'executed' AND swept_at IS NULL;

-- The erasure ledger of the instance: a signed line for each executed deletion, numbered in the order of commits. It is
-- copied to a file outside of the database, and replayed as a whole after a backup was restored.
CREATE TABLE erasures (
    seq  bigint PRIMARY KEY,                -- not `integer`, which would be the rowid and no index to compare
    line text NOT NULL
);

CREATE TABLE erasure_head (
    id  bigint PRIMARY KEY CHECK (id = 1),
    seq integer NOT NULL,
    mac text NOT NULL                       -- of the last line
);

-- The nil project id is the chain of the instance itself, so these two have no foreign key.
CREATE TABLE audit_heads (
    project_id blob PRIMARY KEY,
    seq        integer NOT NULL,
    hash       blob NOT NULL
);

CREATE TABLE audit_log (
    project_id blob NOT NULL,
    seq        integer NOT NULL,
    at         integer NOT NULL,
    actor      text NOT NULL,
    actor_kind text NOT NULL,               -- admin_key | user | client | system | command_line
    action     text NOT NULL,               -- noun.verb
    target     text NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL,               -- JSON document, hashed as stored
    request_id text NOT NULL,
    user_id    blob,                        -- whose data key seals `sealed`; null once erased; not part of the hash
    sealed     blob,                       -- personal values; null once erased
    commitment blob NOT NULL,              -- salted hash of what was sealed
    prev_hash  blob NOT NULL,
    hash       blob NOT NULL,
    PRIMARY KEY (project_id, seq)
);
CREATE INDEX audit_log_target ON audit_log (project_id, target, seq);
CREATE INDEX audit_log_actor ON audit_log (project_id, actor, seq);
CREATE INDEX audit_log_action ON audit_log (project_id, action, seq);
CREATE INDEX audit_log_at ON audit_log (project_id, at, seq);
CREATE INDEX audit_log_user ON audit_log (project_id, user_id);

CREATE TABLE outbox (
    project_id      blob NOT NULL REFERENCES projects (id),
    id              blob NOT NULL,
    kind            text NOT NULL,          -- mail
    sealed_body     blob,                  -- erased when delivered, given up, or after 7 days
    state           text NOT NULL,          -- waiting | delivered | dead
    attempts        integer NOT NULL,
    next_attempt_at integer NOT NULL,       -- while leased: when the lease lapses
    lease           text,
    last_error      text,                   -- a fixed word or a reply code, never a person's data
    created_at      integer NOT NULL,
    finished_at     integer,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE jobs (
    name        text PRIMARY KEY,
    lease       text,
    lease_until integer,
    next_run_at integer NOT NULL,
    failures    integer NOT NULL,           -- in a row; more of them, longer pauses
    started_at  integer,
    finished_at integer,
    outcome     text
);
