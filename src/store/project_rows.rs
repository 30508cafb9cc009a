//! The rows of deleted projects, which go in batches. What stays: the project's own row, so that slug and id are never
//! given out again, the audit log, and the erasure ledger, which a restored backup needs.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// About this many rows go in one statement.
macro_rules! batch_of {
    ($table:literal, $key:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE project_id = $1 AND ",
            $key,
            " IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE project_id = $1 LIMIT 500)"
        )
    };
}

/// One batch of each table that is about people, children before their parents. A test compares both lists with the schema.
const OF_PEOPLE: &[&str] = &[
    batch_of!("authorization_codes", "code_hash"),
    batch_of!("pushed_requests", "hash"),
    batch_of!("device_grants", "id"),
    batch_of!("user_code_failures", "subject"),
    batch_of!("sign_in_failures", "subject"),
    batch_of!("known_places", "user_id"),
    batch_of!("token_families", "id"),
    batch_of!("consents", "user_id"),
    batch_of!("revoked_tokens", "jti"),
    batch_of!("events", "id"),
    batch_of!("browser_sessions", "id"),
    batch_of!("mail_links", "id"),
    batch_of!("user_roles", "user_id"),
    batch_of!("user_groups", "user_id"),
    batch_of!("user_attributes", "user_id"),
    batch_of!("credentials", "id"),
    batch_of!("password_history", "id"),
    batch_of!("passkeys", "id"),
    batch_of!("sign_ins_in_progress", "id"),
    batch_of!("totp_factors", "id"),
    batch_of!("recovery_sets", "user_id"),
    batch_of!("recovery_codes", "user_id"),
    batch_of!("remembered_devices", "id"),
    batch_of!("user_keys", "user_id"),
    batch_of!("deletions", "id"),
    batch_of!("confirmations", "id"),
    batch_of!("bulk_deletion_users", "user_id"),
    batch_of!("bulk_deletions", "id"),
    batch_of!("endings", "of_id"),
    batch_of!("deletion_guards", "user_id"),
    batch_of!("admin_grants", "id"),
    batch_of!("outbox", "id"),
    batch_of!("users", "id"),
    // The keys are gone, so nobody can read this any more; not even whose it was may stay.
    "UPDATE audit_log SET user_id = NULL, sealed = NULL WHERE project_id = $1 AND seq IN
       (SELECT seq FROM audit_log WHERE project_id = $1 AND user_id IS NOT NULL LIMIT 500)",
    "UPDATE audit_log SET origin = NULL, origin_project = NULL, origin_user = NULL WHERE (project_id, seq) IN
       (SELECT project_id, seq FROM audit_log WHERE origin_project = $1 AND origin_user IS NOT NULL LIMIT 500)",
];

/// The rest: what the project has and is.
const OF_PROJECT: &[&str] = &[
    // Proofs that were used stay used when a sandbox begins anew: what they say goes by everybody's clock.
    batch_of!("used_jtis", "hash"),
    batch_of!("webhooks", "id"),
    batch_of!("mail_templates", "kind"),
    batch_of!("sandbox_faults", "id"),
    batch_of!("sandbox_seeds", "id"),
    batch_of!("client_secrets", "client_id"),
    batch_of!("registrations", "client_id"),
    batch_of!("initial_access_tokens", "id"),
    batch_of!("client_origins", "client_id"),
    batch_of!("admin_home", "project_id"),
    batch_of!("clients", "id"),
    batch_of!("roles", "name"),
    batch_of!("groups", "name"),
    batch_of!("subject_salts", "id"),
    batch_of!("project_logos", "name"),
    batch_of!("scopes", "name"),
    batch_of!("resource_servers", "id"),
    batch_of!("attribute_definitions", "name"),
    batch_of!("signing_keys", "kid"),
    batch_of!("admin_keys", "id"),
];

/// How many kinds of batches there are.
pub const KINDS: usize = OF_PEOPLE.len() + OF_PROJECT.len();

/// And how many of them are about people.
pub const KINDS_OF_PEOPLE: usize = OF_PEOPLE.len();

#[derive(FromRow)]
struct Deleted {
    id: ProjectId,
}

/// Projects that were deleted before `end` and still have rows.
pub async fn list_deleted(conn: &Conn, end: Timestamp, limit: i64) -> Result<Vec<ProjectId>> {
    let rows = fetch_all!(
        conn,
        Deleted,
        "SELECT id FROM projects WHERE status = 'deleted' AND emptied_at IS NULL AND updated_at < $1
         ORDER BY updated_at LIMIT $2",
        end,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Removes one batch of the kind; 0 when none of it is left.
pub async fn delete_batch(conn: &Conn, project: ProjectId, kind: usize) -> Result<u64> {
    let sql = OF_PEOPLE.get(kind).copied().unwrap_or_else(|| OF_PROJECT[kind - KINDS_OF_PEOPLE]);
    execute!(conn, sql, project)
}

/// Says that nothing is left but the row itself, which keeps its id and slug.
pub async fn finish(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE projects SET emptied_at = $1, name = '', settings = '{}'
         WHERE id = $2 AND status = 'deleted' AND emptied_at IS NULL",
        now,
        project
    )
}
