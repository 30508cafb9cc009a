//! What ended as a whole, a client or a project: one row until all applications that lost sessions with it are owed a logout
//! token.

use sqlx::FromRow;
use uuid::Uuid;

use super::admin_grants;
use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId};
use crate::model::timestamp::Timestamp;

/// An end, and how far its families have been worked off.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Ending {
    pub project_id: ProjectId,
    /// The client, or the project itself.
    pub of_id: Uuid,
    /// Which the families carry that ended.
    pub epoch: i64,
    pub ended_at: Timestamp,
    /// The last family that was looked at.
    pub told_up_to: Uuid,
}

/// Before the client's epoch rises, in the unit that raises it.
pub async fn begin_for_client(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
) -> Result<u64> {
    admin_grants::hold_all(conn, project).await?;
    execute!(
        conn,
        "INSERT INTO endings (project_id, of_id, epoch, ended_at, told_up_to)
         SELECT c.project_id, c.id, c.token_epoch, $3, $4 FROM clients c
         WHERE c.project_id = $1 AND c.id = $2 AND c.backchannel_logout
         ON CONFLICT (project_id, of_id, epoch) DO NOTHING",
        project,
        client,
        now,
        Uuid::nil()
    )
}

/// Before the project's epoch rises, in the unit that raises it.
pub async fn begin_for_project(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<u64> {
    admin_grants::hold_all(conn, project).await?;
    execute!(
        conn,
        "INSERT INTO endings (project_id, of_id, epoch, ended_at, told_up_to)
         SELECT p.id, p.id, p.token_epoch, $2, $3 FROM projects p
         WHERE p.id = $1 AND EXISTS (SELECT 1 FROM clients c WHERE c.project_id = p.id AND c.backchannel_logout)
         ON CONFLICT (project_id, of_id, epoch) DO NOTHING",
        project,
        now,
        Uuid::nil()
    )
}

/// Of all projects, the oldest first.
pub async fn list(conn: &Conn, most: i64) -> Result<Vec<Ending>> {
    fetch_all!(
        conn,
        Ending,
        "SELECT project_id, of_id, epoch, ended_at, told_up_to FROM endings ORDER BY ended_at LIMIT $1",
        most
    )
}

#[derive(FromRow)]
struct Last {
    id: Uuid,
}

/// The last family of the next batch; `None`: none is left.
pub async fn find_last_of_batch(conn: &Conn, ending: &Ending) -> Result<Option<Uuid>> {
    let Ending { project_id, of_id, told_up_to, .. } = *ending;
    let row = match of_id == project_id.0 {
        true => fetch_optional!(
            conn,
            Last,
            "SELECT id FROM (SELECT id FROM token_families WHERE project_id = $1 AND id > $2 ORDER BY id LIMIT 500)
               AS batch ORDER BY id DESC LIMIT 1",
            project_id,
            told_up_to
        ),
        false => fetch_optional!(
            conn,
            Last,
            "SELECT id FROM (SELECT id FROM token_families WHERE project_id = $1 AND id > $2 AND client_id = $3
               ORDER BY id LIMIT 500) AS batch ORDER BY id DESC LIMIT 1",
            project_id,
            told_up_to,
            of_id
        ),
    }?;
    Ok(row.map(|row| row.id))
}

/// Owes logout tokens for what lived in the batch when it ended. An epoch that rose later has ended nothing that lived.
pub async fn owe(conn: &Conn, now: Timestamp, ending: &Ending, last: Uuid) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO outbox (project_id, id, kind, client_id, user_id, subject, family_id, state, attempts,
           next_attempt_at, created_at)
         SELECT f.project_id, f.id, 'logout_token', f.client_id, f.user_id, f.subject, f.id,
           CASE WHEN p.kind = 'sandbox' THEN 'caught' ELSE 'waiting' END, 0, $1, $1
         FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $2 AND f.id > $3 AND f.id <= $4 AND c.backchannel_logout
           AND (f.revoked_at IS NULL OR f.revoked_at > $5) AND f.expires_at > $5 AND f.idle_expires_at > $5
           AND (f.user_epoch = u.token_epoch OR u.token_epoch > $6)
           AND CASE WHEN f.project_id = $7
                 THEN f.project_epoch = $8 AND (f.client_epoch = c.token_epoch OR c.token_epoch > $6)
                 ELSE f.client_id = $7 AND f.client_epoch = $8
                   AND (f.project_epoch = p.token_epoch OR p.token_epoch > $6) END
         ON CONFLICT (project_id, id) DO NOTHING",
        now,
        ending.project_id,
        ending.told_up_to,
        last,
        ending.ended_at,
        ending.ended_at.micros(),
        ending.of_id,
        ending.epoch
    )
}

/// The batch is done.
pub async fn advance(conn: &Conn, ending: &Ending, last: Uuid) -> Result<u64> {
    execute!(
        conn,
        "UPDATE endings SET told_up_to = $1 WHERE project_id = $2 AND of_id = $3 AND epoch = $4",
        last,
        ending.project_id,
        ending.of_id,
        ending.epoch
    )
}

/// All of it is done.
pub async fn finish(conn: &Conn, ending: &Ending) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM endings WHERE project_id = $1 AND of_id = $2 AND epoch = $3",
        ending.project_id,
        ending.of_id,
        ending.epoch
    )
}
