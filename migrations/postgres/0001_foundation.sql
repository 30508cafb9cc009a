-- Every primary key, unique index and foreign key begins with project_id, so that the schema can be sharded by project.
-- Exceptions, named here: projects (its id is the project id), projects.slug, admin_keys (some serve all projects), jobs (per instance),
-- erasures and erasure_head (one ledger for the instance).
-- Whatever is hashed, signed or merely carried is text, never jsonb, which reorders keys.

CREATE TABLE projects (
    id          uuid PRIMARY KEY,
    slug        text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    kind        text NOT NULL,              -- live | sandbox
    issuer      text NOT NULL,              -- {base_url}/projects/{slug}, fixed when the project is made
    status      text NOT NULL,              -- active | disabled | deleted
    token_epoch bigint NOT NULL,
    version     bigint NOT NULL,
    settings    text NOT NULL,              -- JSON document
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    emptied_at  timestamptz                 -- when a deleted project's rows were gone
);
CREATE UNIQUE INDEX projects_slug ON projects (slug);
CREATE INDEX projects_deleted ON projects (updated_at) WHERE status = 'deleted' AND emptied_at IS NULL;

CREATE TABLE signing_keys (
    project_id     uuid NOT NULL REFERENCES projects (id),
    kid            text COLLATE "C" NOT NULL,
    alg            text NOT NULL,           -- ES256 | RS256 | EdDSA
    state          text NOT NULL,           -- next | current | retired
    public_jwk     text NOT NULL,
    sealed_private bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    signs_from     timestamptz NOT NULL,
    retired_at     timestamptz,
    expires_at     timestamptz,
    PRIMARY KEY (project_id, kid)
);
-- One current and one next key per algorithm: a race to make one has one winner.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (project_id, alg) WHERE state = 'current';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (project_id, alg) WHERE state = 'next';
CREATE INDEX signing_keys_retired ON signing_keys (expires_at) WHERE state = 'retired';

CREATE TABLE clients (
    project_id   uuid NOT NULL REFERENCES projects (id),
    id           uuid NOT NULL,
    client_name  text NOT NULL,
    type         text NOT NULL,             -- confidential | public | service
    status       text NOT NULL,             -- active | disabled | deleted
    token_epoch  bigint NOT NULL,
    version      bigint NOT NULL,
    shortened_in bigint NOT NULL,           -- the version that shortened the lifetimes of its tokens last; 0: none
    settings     text NOT NULL,             -- JSON document: RFC 7591 metadata and ours
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (project_id, id)
);

CREATE TABLE client_secrets (
    project_id uuid NOT NULL,
    client_id  uuid NOT NULL,
    slot       bigint NOT NULL CHECK (slot IN (1, 2)),
    hash       bytea NOT NULL,              -- SHA-256
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (project_id, client_id, slot),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id)
);

CREATE TABLE users (
    project_id      uuid NOT NULL REFERENCES projects (id),
    id              uuid NOT NULL,
    status          text NOT NULL,          -- active | disabled | deleted (a tombstone: everything personal is null)
    username        text,
    username_key    text COLLATE "C",       -- NFKC, lower case
    email           text,
    email_key       text COLLATE "C",
    email_verified  boolean NOT NULL,
    profile         text NOT NULL,          -- JSON document: standard claims
    token_epoch     bigint NOT NULL,
    browser_epoch   bigint NOT NULL,
    version         bigint NOT NULL,
    roles           text NOT NULL,          -- JSON list, resolved
    groups          text NOT NULL,          -- JSON list, resolved
    attributes      text NOT NULL,          -- JSON document, resolved
    last_sign_in_at timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    deleted_at      timestamptz,
    PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX users_username ON users (project_id, username_key);
CREATE INDEX users_email ON users (project_id, email_key);
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE attribute_definitions (
    project_id      uuid NOT NULL REFERENCES projects (id),
    name            text COLLATE "C" NOT NULL,
    type            text NOT NULL,          -- string | number | boolean | string_list
    description     text NOT NULL,
    user_writable   boolean NOT NULL,
    in_access_token boolean NOT NULL,
    max_bytes       bigint NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE roles (
    project_id  uuid NOT NULL REFERENCES projects (id),
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE groups (
    project_id  uuid NOT NULL REFERENCES projects (id),
    name        text COLLATE "C" NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- Who holds what is for listing, and for taking it back; what tokens and verification read stands resolved on the user's row.
CREATE TABLE user_roles (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    role       text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, user_id, role),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, role) REFERENCES roles (project_id, name)
);
CREATE INDEX user_roles_role ON user_roles (project_id, role, user_id);

CREATE TABLE user_groups (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    group_name text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, user_id, group_name),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, group_name) REFERENCES groups (project_id, name)
);
CREATE INDEX user_groups_group ON user_groups (project_id, group_name, user_id);

CREATE TABLE user_attributes (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    attribute  text COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, user_id, attribute),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id),
    FOREIGN KEY (project_id, attribute) REFERENCES attribute_definitions (project_id, name)
);
CREATE INDEX user_attributes_attribute ON user_attributes (project_id, attribute, user_id);

CREATE TABLE credentials (
    project_id uuid NOT NULL,
    id         uuid NOT NULL,
    user_id    uuid NOT NULL,
    kind       text NOT NULL,               -- password
    secret     text NOT NULL,               -- argon2id in PHC form
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX credentials_user ON credentials (project_id, user_id);
CREATE UNIQUE INDEX credentials_password ON credentials (project_id, user_id) WHERE kind = 'password';

-- The data key under which the audit log keeps what is personal; deletion destroys it.
CREATE TABLE user_keys (
    project_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);

CREATE TABLE browser_sessions (
    project_id    uuid NOT NULL,
    id            uuid NOT NULL,
    token_hash    bytea NOT NULL,
    user_id       uuid NOT NULL,
    project_epoch bigint NOT NULL,
    user_epoch    bigint NOT NULL,
    browser_epoch bigint NOT NULL,
    auth_time     timestamptz NOT NULL,
    amr           text NOT NULL,            -- JSON list
    acr           text NOT NULL,
    user_agent    text NOT NULL,
    address       text NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE UNIQUE INDEX browser_sessions_token ON browser_sessions (project_id, token_hash);
CREATE INDEX browser_sessions_user ON browser_sessions (project_id, user_id, id);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_at);
CREATE INDEX browser_sessions_ended ON browser_sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE authorization_codes (
    project_id         uuid NOT NULL,
    code_hash          bytea NOT NULL,
    client_id          uuid NOT NULL,
    user_id            uuid NOT NULL,
    browser_session_id uuid,
    redirect_uri       text NOT NULL,
    code_challenge     text,                -- S256 only
    scope              text NOT NULL,
    nonce              text,
    audience           text NOT NULL,
    auth_time          timestamptz NOT NULL,
    amr                text NOT NULL,
    acr                text NOT NULL,
    user_agent         text NOT NULL,
    address            text NOT NULL,
    project_epoch      bigint NOT NULL,
    client_epoch       bigint NOT NULL,
    user_epoch         bigint NOT NULL,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    consumed_at        timestamptz,
    family_id          uuid,
    PRIMARY KEY (project_id, code_hash),
    FOREIGN KEY (project_id, client_id) REFERENCES clients (project_id, id),
    FOREIGN KEY (project_id, user_id) REFERENCES users (project_id, id)
);
CREATE INDEX authorization_codes_user ON authorization_codes (project_id, user_id);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

CREATE TABLE token_families (
    project_id         uuid NOT NULL,
    id                 uuid NOT NULL,       -- the sid claim
    client_id          uuid NOT NULL,
    user_id            uuid NOT NULL,
    browser_session_id uuid,
    client_version     bigint NOT NULL,     -- of the client whose settings its lifetimes were judged by
    offline            boolean NOT NULL,
    scope              text NOT NULL,
    audience           text NOT NULL,
    nonce              text,
    auth_time          timestamptz NOT NULL,
    amr                text NOT NULL,
    acr                text NOT NULL,
    cnf_jkt            text,
    user_agent         text NOT NULL,
    address            text NOT NULL,
    seq                bigint NOT NULL,
    prev_seq           bigint,
    rotated_at         timestamptz NOT NULL,
    mac_key_id         text NOT NULL,       -- the master key under which the newest refresh token was made
    used_at            timestamptz NOT NULL,
    idle_expires_at    timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    revoked_at         timestamptz,
    revoked_reason     text,
    project_epoch      bigint NOT NULL,
    client_epoch       bigint NOT NULL,
    user_epoch         bigint NOT NULL,
    created_at         timestamptz NOT NULL,
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
    project_id uuid NOT NULL REFERENCES projects (id),
    jti        text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, jti)
);
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);

CREATE TABLE admin_keys (
    id         uuid PRIMARY KEY,
    project_id uuid REFERENCES projects (id),  -- null: every project
    name       text NOT NULL,
    role       text NOT NULL,               -- owner | admin | user_manager | auditor
    hash       bytea NOT NULL,              -- SHA-256
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX admin_keys_hash ON admin_keys (hash);

CREATE TABLE deletions (
    project_id      uuid NOT NULL REFERENCES projects (id),
    id              uuid NOT NULL,
    user_id         uuid NOT NULL,
    user_version    bigint NOT NULL,
    state           text NOT NULL,          -- pending | scheduled | executed | cancelled | expired
    method          text NOT NULL,          -- typed | second_person
    restore_days    bigint NOT NULL,        -- between confirmation and execution, as the project had it at the request
    actor           text NOT NULL,          -- who asked, e.g. admin_key:<id>
    reason          text NOT NULL,
    notify          boolean NOT NULL,
    impact          text NOT NULL,          -- JSON document
    failed_attempts bigint NOT NULL,
    requested_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    confirmed_by    text,
    confirmed_at    timestamptz,
    execute_at      timestamptz,            -- the end of the restore window
    former_status   text,                   -- what cancelling a scheduled one gives back
    finished_at     timestamptz,
    swept_at        timestamptz,            -- when a job looked for what was written beside it
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
    seq  bigint PRIMARY KEY,
    line text NOT NULL
);

CREATE TABLE erasure_head (
    id  bigint PRIMARY KEY CHECK (id = 1),
    seq bigint NOT NULL,
    mac text NOT NULL                       -- of the last line
);

-- The nil project id is the chain of the instance itself, so these two have no foreign key.
CREATE TABLE audit_heads (
    project_id uuid PRIMARY KEY,
    seq        bigint NOT NULL,
    hash       bytea NOT NULL
);

CREATE TABLE audit_log (
    project_id uuid NOT NULL,
    seq        bigint NOT NULL,
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    actor_kind text NOT NULL,               -- admin_key | user | client | system | command_line
    action     text NOT NULL,               -- noun.verb
    target     text NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL,               -- JSON document, hashed as stored
    request_id text NOT NULL,
    user_id    uuid,                        -- whose data key seals `sealed`; null once erased; not part of the hash
    sealed     bytea,                       -- personal values; null once erased
    commitment bytea NOT NULL,              -- salted hash of what was sealed
    prev_hash  bytea NOT NULL,
    hash       bytea NOT NULL,
    PRIMARY KEY (project_id, seq)
);
CREATE INDEX audit_log_target ON audit_log (project_id, target, seq);
CREATE INDEX audit_log_actor ON audit_log (project_id, actor, seq);
CREATE INDEX audit_log_action ON audit_log (project_id, action, seq);
CREATE INDEX audit_log_at ON audit_log (project_id, at, seq);
CREATE INDEX audit_log_user ON audit_log (project_id, user_id);

CREATE TABLE outbox (
    project_id      uuid NOT NULL REFERENCES projects (id),
    id              uuid NOT NULL,
    kind            text NOT NULL,          -- mail
    sealed_body     bytea,                  -- erased when delivered, given up, or after 7 days
    state           text NOT NULL,          -- waiting | delivered | dead
    attempts        bigint NOT NULL,
    next_attempt_at timestamptz NOT NULL,   -- while leased: when the lease lapses
    lease           text,
    last_error      text,                   -- a fixed word or a reply code, never a person's data
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE jobs (
    name        text COLLATE "C" PRIMARY KEY,
    lease       text,
    lease_until timestamptz,
    next_run_at timestamptz NOT NULL,
    failures    bigint NOT NULL,           -- in a row; more of them, longer pauses
    started_at  timestamptz,
    finished_at timestamptz,
    outcome     text
);
