//! What has ended, of all projects: one bounded statement each, along an index that begins with a moment.
//!
//! Together with the due lists of the outbox these are the only statements that name no project: the same rule holds for
//! all of them. The callers repeat them until fewer than [`BATCH`] rows went.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Rows of one statement. It stands in the SQL as a number: with a parameter, PostgreSQL plans for a tenth of the table and
/// reads all of it.
pub const BATCH: u64 = 500;

/// One batch of the rows whose moment has come, the oldest first; `$also`: and of which this is true.
macro_rules! ended {
    ($table:literal, $key:literal, $moment:literal $(, $also:literal)?) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (project_id, ",
            $key,
            ") IN (SELECT project_id, ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $moment,
            " <= $1",
            $(" AND ", $also,)?
            " ORDER BY ",
            $moment,
            " LIMIT 500)"
        )
    };
}

pub async fn delete_codes(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("authorization_codes", "code_hash", "expires_at"), expired)
}

pub async fn delete_pushed_requests(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("pushed_requests", "hash", "expires_at"), expired)
}

/// Consents of clients that were deleted, along the index of those.
pub async fn delete_consents_of_deleted_clients(conn: &Conn) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM consents WHERE (project_id, user_id, client_id) IN (
           SELECT n.project_id, n.user_id, n.client_id FROM clients c
           JOIN consents n ON n.project_id = c.project_id AND n.client_id = c.id
           WHERE c.status = 'deleted' LIMIT 500)"
    )
}

pub async fn delete_initial_access_tokens(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("initial_access_tokens", "id", "expires_at"), expired)
}

pub async fn delete_device_grants(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("device_grants", "id", "expires_at"), expired)
}

pub async fn delete_user_code_failures(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("user_code_failures", "subject", "expires_at"), expired)
}

pub async fn delete_sign_in_failures(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("sign_in_failures", "subject", "expires_at"), expired)
}

pub async fn delete_known_places(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("known_places", "user_id, place", "expires_at"), expired)
}

/// Links that were mailed, followed or not.
pub async fn delete_mail_links(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("mail_links", "id", "expires_at"), expired)
}

pub async fn delete_sign_ins_in_progress(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("sign_ins_in_progress", "id", "expires_at"), expired)
}

pub async fn delete_remembered_devices(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("remembered_devices", "id", "expires_at"), expired)
}

/// Families past their absolute lifetime: however they ended, they end there as well.
pub async fn delete_expired_families(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("token_families", "id", "expires_at"), expired)
}

pub async fn delete_revoked_families(conn: &Conn, revoked: Timestamp) -> Result<u64> {
    execute!(conn, ended!("token_families", "id", "revoked_at"), revoked)
}

pub async fn delete_expired_browser_sessions(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("browser_sessions", "id", "expires_at"), expired)
}

pub async fn delete_ended_browser_sessions(conn: &Conn, ended: Timestamp) -> Result<u64> {
    execute!(conn, ended!("browser_sessions", "id", "ended_at"), ended)
}

pub async fn delete_revoked_tokens(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("revoked_tokens", "jti", "expires_at"), expired)
}

pub async fn delete_used_jtis(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("used_jtis", "kind, hash", "expires_at"), expired)
}

/// Deletions that were asked for and never confirmed. Finished ones stay: they answer what became of them.
pub async fn delete_unconfirmed_deletions(conn: &Conn, lapsed: Timestamp) -> Result<u64> {
    execute!(conn, ended!("deletions", "id", "expires_at", "state IN ('pending', 'expired')"), lapsed)
}

/// Confirmations, whatever has become of them: the audit log says it for good.
pub async fn delete_confirmations(conn: &Conn, expired: Timestamp) -> Result<u64> {
    execute!(conn, ended!("confirmations", "id", "expires_at"), expired)
}

/// Erases letters to nobody with an account that were given up. There is no user with whom they would go.
pub async fn erase_dead_letters(conn: &Conn, written: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "UPDATE outbox SET sealed_body = NULL WHERE (project_id, id) IN (
           SELECT project_id, id FROM outbox
           WHERE state = 'dead' AND kind = 'mail' AND user_id IS NULL AND sealed_body IS NOT NULL AND created_at <= $1
           ORDER BY created_at LIMIT 500)",
        written
    )
}

/// Delivered and dead messages, with what the dead ones could have been sent again with.
pub async fn delete_finished_messages(conn: &Conn, finished: Timestamp) -> Result<u64> {
    execute!(conn, ended!("outbox", "id", "finished_at"), finished)
}

/// What sandboxes caught: all of it after its time, and of each the oldest beyond a thousand.
pub async fn delete_caught_messages(conn: &Conn, caught: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM outbox WHERE (project_id, id) IN (
           SELECT project_id, id FROM (
             SELECT project_id, id, created_at, ROW_NUMBER() OVER (PARTITION BY project_id ORDER BY id DESC) AS place
             FROM outbox WHERE state = 'caught') AS caught
           WHERE created_at <= $1 OR place > 1000 LIMIT 500)",
        caught
    )
}

/// A deleted user whose tombstone has served.
#[derive(Clone, Debug, FromRow)]
pub struct Tombstone {
    pub project_id: ProjectId,
    pub id: UserId,
}

pub async fn list_tombstones(conn: &Conn, deleted: Timestamp, most: i64) -> Result<Vec<Tombstone>> {
    fetch_all!(
        conn,
        Tombstone,
        "SELECT project_id, id FROM users WHERE deleted_at <= $1 ORDER BY deleted_at LIMIT $2",
        deleted,
        most
    )
}

/// Removes a tombstone; what refers to the user has to be gone.
pub async fn delete_tombstone(
    conn: &Conn,
    project: ProjectId,
    deleted: Timestamp,
    user: UserId,
) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM users WHERE project_id = $1 AND id = $2 AND status = 'deleted' AND deleted_at <= $3",
        project,
        user,
        deleted
    )
}
