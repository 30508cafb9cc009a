//! What goes with a user. A new table that refers to users gets its statement in `MANY` or `FEW`.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A person as a deletion sees one.
#[derive(Clone, Debug, FromRow)]
pub struct Person {
    pub status: String,
    pub version: i64,
    pub username: Option<String>,
    pub email: Option<String>,
    pub profile: String,
    pub attributes: String,
    pub groups: String,
}

pub async fn find_person(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<Person>> {
    fetch_optional!(
        conn,
        Person,
        "SELECT status, version, username, email, profile, attributes, groups FROM users
         WHERE project_id = $1 AND id = $2 AND status <> 'deleted'",
        project,
        user
    )
}

/// Locks the user's row until the unit ends, if nobody changed it since `version`.
pub async fn hold_at(conn: &Conn, project: ProjectId, user: UserId, version: i64) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET version = version WHERE project_id = $1 AND id = $2 AND version = $3 AND status <> 'deleted'",
        project,
        user,
        version
    )
}

/// Locks the user's row until the unit ends, whatever its version.
pub async fn hold(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    execute!(conn, "UPDATE users SET version = version WHERE project_id = $1 AND id = $2", project, user)
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

pub async fn count_factors(conn: &Conn, project: ProjectId, user: UserId) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT (SELECT count(*) FROM credentials WHERE project_id = $1 AND user_id = $2)
              + (SELECT count(*) FROM passkeys WHERE project_id = $1 AND user_id = $2)
              + (SELECT count(*) FROM totp_factors WHERE project_id = $1 AND user_id = $2) AS n",
        project,
        user
    )?;
    Ok(count.n)
}

/// Makes the row a tombstone: id, project, status and epochs stay, and the epochs rise.
pub async fn erase_user(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET status = 'deleted', username = NULL, username_key = NULL, email = NULL, email_key = NULL,
           email_verified = FALSE, profile = '{}', roles = '[]', groups = '[]', attributes = '{}',
           last_sign_in_at = NULL, deleted_at = $1, created_at = $1, updated_at = $1, version = version + 1,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END,
           browser_epoch = CASE WHEN browser_epoch >= $2 THEN browser_epoch + 1 ELSE $2 END
         WHERE project_id = $3 AND id = $4 AND status <> 'deleted'",
        now,
        now.micros(),
        project,
        user
    )
}

/// Disables the user of a scheduled deletion: both epochs rise, and nothing works any more.
pub async fn disable_user(conn: &Conn, project: ProjectId, now: Timestamp, user: UserId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET status = 'disabled', version = version + 1, updated_at = $1,
           token_epoch = CASE WHEN token_epoch >= $2 THEN token_epoch + 1 ELSE $2 END,
           browser_epoch = CASE WHEN browser_epoch >= $2 THEN browser_epoch + 1 ELSE $2 END
         WHERE project_id = $3 AND id = $4 AND status <> 'deleted'",
        now,
        now.micros(),
        project,
        user
    )
}

/// Gives a user the status back that a cancelled deletion had taken. What had ended stays ended.
pub async fn restore_user(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    status: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET status = $1, version = version + 1, updated_at = $2
         WHERE project_id = $3 AND id = $4 AND status = 'disabled'",
        status,
        now,
        project,
        user
    )
}

/// What waits for somebody without an account under an address: links, and letters that have not left yet.
pub async fn delete_of_address(conn: &Conn, project: ProjectId, address_key: &[u8]) -> Result<()> {
    execute!(
        conn,
        "DELETE FROM mail_links WHERE project_id = $1 AND address_key = $2",
        project,
        address_key
    )?;
    execute!(conn, "DELETE FROM outbox WHERE project_id = $1 AND address_key = $2", project, address_key)?;
    Ok(())
}

/// Of these a user may have many.
const MANY: [&str; 11] = [
    "DELETE FROM authorization_codes WHERE project_id = $1 AND code_hash IN (
       SELECT code_hash FROM authorization_codes WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM device_grants WHERE project_id = $1 AND id IN (
       SELECT id FROM device_grants WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM token_families WHERE project_id = $1 AND id IN (
       SELECT id FROM token_families WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM browser_sessions WHERE project_id = $1 AND id IN (
       SELECT id FROM browser_sessions WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM known_places WHERE project_id = $1 AND user_id = $2 AND place IN (
       SELECT place FROM known_places WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM mail_links WHERE project_id = $1 AND id IN (
       SELECT id FROM mail_links WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    // Letters that have not left yet. The one that tells of the deletion bears no user's id.
    "DELETE FROM outbox WHERE project_id = $1 AND id IN (
       SELECT id FROM outbox WHERE project_id = $1 AND user_id = $2 AND kind = 'mail' LIMIT $3)",
    "DELETE FROM sign_ins_in_progress WHERE project_id = $1 AND id IN (
       SELECT id FROM sign_ins_in_progress WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM remembered_devices WHERE project_id = $1 AND id IN (
       SELECT id FROM remembered_devices WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    "DELETE FROM events WHERE project_id = $1 AND id IN (
       SELECT id FROM events WHERE project_id = $1 AND user_id = $2 LIMIT $3)",
    // A logout token that still waits keeps its ids until it is delivered or given up, a week at most.
    "UPDATE outbox SET user_id = NULL, subject = NULL WHERE project_id = $1 AND id IN (
       SELECT id FROM outbox WHERE project_id = $1 AND user_id = $2 AND state = 'dead' LIMIT $3)",
];

/// Of these a user has few by nature.
const FEW: [&str; 13] = [
    "DELETE FROM admin_grants WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM deletion_guards WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM consents WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM credentials WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM password_history WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM totp_factors WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM recovery_codes WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM recovery_sets WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM passkeys WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM user_keys WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM user_roles WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM user_groups WHERE project_id = $1 AND user_id = $2",
    "DELETE FROM user_attributes WHERE project_id = $1 AND user_id = $2",
];

/// Deletes what refers to the user, at most `most` rows of each kind. Gives whether there may be more.
pub async fn delete_belongings(conn: &Conn, project: ProjectId, user: UserId, most: i64) -> Result<bool> {
    let mut more = false;
    for sql in MANY {
        more |= execute!(conn, sql, project, user, most)? >= most.unsigned_abs();
    }
    for sql in FEW {
        execute!(conn, sql, project, user)?;
    }
    Ok(more)
}
