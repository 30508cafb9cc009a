//! What projects keep for a time of their own.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// A project, and how far back what it keeps reaches.
#[derive(Clone, Debug, FromRow)]
pub struct Kept {
    pub id: ProjectId,
    pub settings: String,
    /// Seconds that a sandbox's clock goes ahead of the machine's.
    pub clock_offset: i64,
    pub oldest_event: Option<Timestamp>,
    pub oldest_entry: Option<Timestamp>,
}

/// A page of projects after `after`; each costs two looks along an index.
pub async fn page(conn: &Conn, after: ProjectId, limit: i64) -> Result<Vec<Kept>> {
    fetch_all!(
        conn,
        Kept,
        "SELECT p.id, p.settings, p.clock_offset,
           (SELECT e.at FROM events e WHERE e.project_id = p.id ORDER BY e.id LIMIT 1) AS oldest_event,
           (SELECT a.at FROM audit_log a WHERE a.project_id = p.id ORDER BY a.seq LIMIT 1) AS oldest_entry
         FROM projects p WHERE p.id > $1 AND p.status <> 'deleted' ORDER BY p.id LIMIT $2",
        after,
        limit
    )
}

/// One batch of the project's token families that were revoked, or whose absolute life ended, before a moment. Those of
/// somebody under a legal hold stay.
pub async fn delete_dead_families(conn: &Conn, project: ProjectId, end: Timestamp) -> Result<u64> {
    let revoked = execute!(
        conn,
        "DELETE FROM token_families WHERE project_id = $1 AND id IN (
           SELECT f.id FROM token_families f WHERE f.project_id = $1 AND f.revoked_at <= $2 AND NOT EXISTS (SELECT 1 FROM deletion_guards g
             WHERE g.project_id = f.project_id AND g.user_id = f.user_id AND g.kind = 'legal_hold')
           LIMIT 500)",
        project,
        end
    )?;
    let expired = execute!(
        conn,
        "DELETE FROM token_families WHERE project_id = $1 AND id IN (
           SELECT f.id FROM token_families f WHERE f.project_id = $1 AND f.expires_at <= $2 AND NOT EXISTS (SELECT 1 FROM deletion_guards g
             WHERE g.project_id = f.project_id AND g.user_id = f.user_id AND g.kind = 'legal_hold')
           LIMIT 500)",
        project,
        end
    )?;
    Ok(revoked + expired)
}

/// One batch of the project's codes that expired before a moment, used or not. Those of somebody under a legal hold stay.
pub async fn delete_dead_codes(conn: &Conn, project: ProjectId, end: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM authorization_codes WHERE project_id = $1 AND code_hash IN (
           SELECT c.code_hash FROM authorization_codes c WHERE c.project_id = $1 AND c.expires_at <= $2 AND NOT EXISTS (
             SELECT 1 FROM deletion_guards g
             WHERE g.project_id = c.project_id AND g.user_id = c.user_id AND g.kind = 'legal_hold')
           LIMIT 500)",
        project,
        end
    )
}

#[derive(FromRow)]
struct Seq {
    seq: i64,
}

/// The newest checkpoint that was signed before a moment: all that it covers is older.
pub async fn last_checkpoint_before(conn: &Conn, project: ProjectId, end: Timestamp) -> Result<Option<i64>> {
    let row = fetch_optional!(
        conn,
        Seq,
        "SELECT seq FROM audit_checkpoints WHERE project_id = $1 AND at <= $2 ORDER BY seq DESC LIMIT 1",
        project,
        end
    )?;
    Ok(row.map(|row| row.seq))
}

/// One batch of the entries up to a number, the oldest first. Only [`crate::audit::cut`] may call this, which leaves a
/// checkpoint and an event behind.
pub async fn delete_entries(conn: &Conn, project: ProjectId, through: i64) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM audit_log WHERE project_id = $1 AND seq IN (
           SELECT seq FROM audit_log WHERE project_id = $1 AND seq <= $2 ORDER BY seq LIMIT 500)",
        project,
        through
    )
}

/// Checkpoints before the one where the chain begins now.
pub async fn delete_checkpoints(conn: &Conn, project: ProjectId, before: i64) -> Result<u64> {
    execute!(conn, "DELETE FROM audit_checkpoints WHERE project_id = $1 AND seq < $2", project, before)
}
