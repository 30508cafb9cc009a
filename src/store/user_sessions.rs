//! The sessions of one user, as an admin sees and ends them: token families, and browser sessions.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all, fetch_one};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A token family beside how its client, user and project stand.
#[derive(Debug, FromRow)]
pub struct FamilyRow {
    pub id: Uuid,
    pub client_id: ClientId,
    pub client_name: String,
    pub browser_session_id: Option<BrowserSessionId>,
    pub offline: bool,
    pub scope: String,
    pub auth_time: Timestamp,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub used_at: Timestamp,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub project_status: String,
    pub client_status: String,
    pub user_status: String,
    pub same_epochs: bool,
}

/// The first `limit` families after an id, in the order in which they began.
pub async fn families(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<FamilyRow>> {
    fetch_all!(
        conn,
        FamilyRow,
        "SELECT f.id, f.client_id, c.client_name, f.browser_session_id, f.offline, f.scope, f.auth_time, f.user_agent,
                f.address, f.created_at, f.used_at, f.idle_expires_at, f.expires_at, f.revoked_at,
                p.status AS project_status, c.status AS client_status, u.status AS user_status,
                f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch AND f.user_epoch = u.token_epoch
                  AS same_epochs
         FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $1 AND f.user_id = $2 AND f.id > $3 ORDER BY f.id LIMIT $4",
        project,
        user,
        after,
        limit
    )
}

/// A browser session beside how its user and project stand.
#[derive(Debug, FromRow)]
pub struct BrowserSessionRow {
    pub id: Uuid,
    pub auth_time: Timestamp,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub project_status: String,
    pub user_status: String,
    pub same_epochs: bool,
}

/// The first `limit` browser sessions after an id, in the order in which they began.
pub async fn browser_sessions(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<BrowserSessionRow>> {
    fetch_all!(
        conn,
        BrowserSessionRow,
        "SELECT b.id, b.auth_time, b.user_agent, b.address, b.created_at, b.expires_at, b.ended_at,
                p.status AS project_status, u.status AS user_status,
                b.project_epoch = p.token_epoch AND b.browser_epoch = u.browser_epoch AS same_epochs
         FROM browser_sessions b
         JOIN projects p ON p.id = b.project_id
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.user_id = $2 AND b.id > $3 ORDER BY b.id LIMIT $4",
        project,
        user,
        after,
        limit
    )
}

/// Ends one of the user's families; no row when it has ended, or is none of the user's.
pub async fn end_family(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    id: FamilyId,
    reason: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = $2
         WHERE project_id = $3 AND user_id = $4 AND id = $5 AND revoked_at IS NULL",
        now,
        reason,
        project,
        user,
        id
    )
}

/// Ends one of the user's browser sessions; no row when it has ended, or is none of the user's.
pub async fn end_browser_session(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    id: BrowserSessionId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE browser_sessions SET ended_at = $1
         WHERE project_id = $2 AND user_id = $3 AND id = $4 AND ended_at IS NULL",
        now,
        project,
        user,
        id
    )
}

/// Ends the families of a browser session that were not granted to outlive it.
pub async fn end_families_of(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    browser_session: BrowserSessionId,
    reason: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = $2
         WHERE project_id = $3 AND browser_session_id = $4 AND NOT offline AND revoked_at IS NULL",
        now,
        reason,
        project,
        browser_session
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Whether a browser session has neither ended nor expired.
pub async fn is_there(conn: &Conn, project: ProjectId, now: Timestamp, id: BrowserSessionId) -> Result<bool> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM browser_sessions
         WHERE project_id = $1 AND id = $2 AND ended_at IS NULL AND expires_at > $3",
        project,
        id,
        now
    )?;
    Ok(count.n > 0)
}

/// Whether the user has, or had, a session with this id.
pub async fn exists(conn: &Conn, project: ProjectId, user: UserId, id: Uuid) -> Result<bool> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM (
           SELECT id FROM token_families WHERE project_id = $1 AND id = $2 AND user_id = $3
           UNION ALL
           SELECT id FROM browser_sessions WHERE project_id = $1 AND id = $2 AND user_id = $3) AS sessions",
        project,
        id,
        user
    )?;
    Ok(count.n > 0)
}

/// Ends a family that was not granted to outlive its browser session, and has none that lives: it is over, or there never
/// was one.
pub async fn end_bound_family(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    reason: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = $2
         WHERE project_id = $3 AND id = $4 AND NOT offline AND revoked_at IS NULL
           AND NOT EXISTS (
             SELECT 1 FROM browser_sessions b WHERE b.project_id = $3 AND b.id = token_families.browser_session_id
               AND b.ended_at IS NULL AND b.expires_at > $1)",
        now,
        reason,
        project,
        id
    )
}
