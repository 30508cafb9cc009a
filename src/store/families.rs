//! Token families: one row each, however often they are refreshed.

use super::browser_sessions::Replaced;
use super::codes::CodeRow;
use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, ProjectId};
use crate::model::timestamp::Timestamp;

/// When a family ends: unused, and at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Begins a family with the epochs that travelled with the code.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    code: &CodeRow,
    mac_key_id: &str,
    lifetime: Lifetime,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO token_families (project_id, id, client_id, user_id, browser_session_id, offline, scope, audience,
           nonce, auth_time, amr, acr, user_agent, address, seq, rotated_at, mac_key_id, used_at, idle_expires_at,
           expires_at, project_epoch, client_epoch, user_epoch, created_at)
         VALUES ($1, $2, $3, $4, $5, TRUE, $6, $7, $8, $9, $10, $11, $12, $13, 0, $14, $15, $14, $16, $17, $18, $19, $20,
           $14)",
        project,
        id,
        code.client_id,
        code.user_id,
        code.browser_session_id,
        &code.scope,
        &code.audience,
        code.nonce.as_deref(),
        code.auth_time,
        &code.amr,
        &code.acr,
        &code.user_agent,
        &code.address,
        now,
        mac_key_id,
        lifetime.idle_expires_at,
        lifetime.expires_at,
        code.project_epoch,
        code.client_epoch,
        code.user_epoch
    )
}

/// Keeps at most `most` live families per user and client: the longest unused end.
pub async fn displace(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    code: &CodeRow,
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = 'displaced'
         WHERE project_id = $2 AND id IN (
           SELECT id FROM token_families WHERE project_id = $2 AND user_id = $3 AND client_id = $4
             AND revoked_at IS NULL AND expires_at > $1 ORDER BY used_at DESC, id DESC LIMIT 1000 OFFSET $5)",
        now,
        project,
        code.user_id,
        code.client_id,
        most
    )
}

/// Compare-and-set of a rotation: of many callers with the same token one gets a row.
pub async fn rotate(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    seq: i64,
    mac_key_id: &str,
    idle_expires_at: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families
         SET seq = seq + 1, prev_seq = seq, rotated_at = $1, used_at = $1, mac_key_id = $2, idle_expires_at = $3
         WHERE project_id = $4 AND id = $5 AND seq = $6 AND revoked_at IS NULL AND expires_at > $1
           AND idle_expires_at > $1",
        now,
        mac_key_id,
        idle_expires_at,
        project,
        id,
        seq
    )
}

/// `refresh_retry: until_used`: a new successor for the predecessor; the one nobody used becomes void.
pub async fn rotate_again(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    seq: i64,
    mac_key_id: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET seq = seq + 1, rotated_at = $1, used_at = $1, mac_key_id = $2
         WHERE project_id = $3 AND id = $4 AND seq = $5 AND revoked_at IS NULL AND expires_at > $1
           AND idle_expires_at > $1",
        now,
        mac_key_id,
        project,
        id,
        seq
    )
}

/// A refresh without rotation only moves the idle limit.
pub async fn extend(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    idle_expires_at: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET idle_expires_at = $1, used_at = $2
         WHERE project_id = $3 AND id = $4 AND revoked_at IS NULL AND expires_at > $2 AND idle_expires_at > $2",
        idle_expires_at,
        now,
        project,
        id
    )
}

pub async fn revoke(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    reason: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = $2
         WHERE project_id = $3 AND id = $4 AND revoked_at IS NULL",
        now,
        reason,
        project,
        id
    )
}

/// Caps what lives: no family of the client lasts longer from now than a new one would. `span`: absolute and idle seconds.
pub async fn shorten(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
    (absolute, idle): (i64, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET
           expires_at = CASE WHEN expires_at > $1 THEN $1 ELSE expires_at END,
           idle_expires_at = CASE WHEN idle_expires_at > $2 THEN $2 ELSE idle_expires_at END
         WHERE project_id = $3 AND client_id = $4 AND revoked_at IS NULL AND expires_at > $5
           AND (expires_at > $1 OR idle_expires_at > $2)",
        now.plus_seconds(absolute),
        now.plus_seconds(idle),
        project,
        client,
        now
    )
}

/// Lets what a replaced browser session gave to applications follow the next one.
pub async fn move_to_browser_session(
    conn: &Conn,
    project: ProjectId,
    from: Replaced,
    to: BrowserSessionId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET browser_session_id = $1
         WHERE project_id = $2 AND user_id = $3 AND browser_session_id = $4",
        to,
        project,
        from.user_id,
        from.id
    )
}
