//! Signed checkpoints of the chains. They are added, and those before a cut go; nothing changes one.

use sqlx::FromRow;

use super::admin_grants;
use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct CheckpointRow {
    pub seq: i64,
    pub at: Timestamp,
    pub kid: String,
    pub jws: String,
}

/// The end of a chain.
#[derive(Clone, Debug, FromRow)]
pub struct Head {
    pub seq: i64,
    pub hash: Vec<u8>,
}

/// `None`: nothing has happened in it.
pub async fn head(conn: &Conn, project: ProjectId) -> Result<Option<Head>> {
    fetch_optional!(conn, Head, "SELECT seq, hash FROM audit_heads WHERE project_id = $1", project)
}

/// Who signs for a project: the project itself.
#[derive(Clone, Debug, FromRow)]
pub struct Signatory {
    pub project: ProjectId,
    pub issuer: String,
}

/// For the instance, the built-in project of its admins does, once it is made. `None`: no such project.
pub async fn signatory(conn: &Conn, project: ProjectId) -> Result<Option<Signatory>> {
    if project == ProjectId::INSTANCE {
        let home = admin_grants::find_home(conn).await?;
        return Ok(home.map(|home| Signatory { project: home.project_id, issuer: home.issuer }));
    }
    fetch_optional!(conn, Signatory, "SELECT id AS project, issuer FROM projects WHERE id = $1", project)
}

/// Whether the chain has grown since its last checkpoint, as [`due_projects`] judges it.
pub async fn is_due(conn: &Conn, project: ProjectId, aged: Timestamp, most: i64) -> Result<bool> {
    let Some(head) = head(conn, project).await? else { return Ok(false) };
    let last = list(conn, project, None, 1).await?.into_iter().next();
    Ok(last.is_none_or(|last| head.seq > last.seq && (last.at <= aged || head.seq - last.seq >= most)))
}

/// Adds one; no row when somebody else was faster.
pub async fn insert(conn: &Conn, project: ProjectId, row: &CheckpointRow) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO audit_checkpoints (project_id, seq, at, kid, jws) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, seq) DO NOTHING",
        project,
        row.seq,
        row.at,
        &row.kid,
        &row.jws
    )
}

pub async fn find(conn: &Conn, project: ProjectId, seq: i64) -> Result<Option<CheckpointRow>> {
    fetch_optional!(
        conn,
        CheckpointRow,
        "SELECT seq, at, kid, jws FROM audit_checkpoints WHERE project_id = $1 AND seq = $2",
        project,
        seq
    )
}

/// Newest first, those before the number `before`.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<CheckpointRow>> {
    fetch_all!(
        conn,
        CheckpointRow,
        "SELECT seq, at, kid, jws FROM audit_checkpoints
         WHERE project_id = $1 AND ($2 IS NULL OR seq < $2) ORDER BY seq DESC LIMIT $3",
        project,
        before,
        limit
    )
}

/// Those of `(after, to]`, of which there are at most as many as entries.
pub async fn between(conn: &Conn, project: ProjectId, after: i64, to: i64) -> Result<Vec<CheckpointRow>> {
    fetch_all!(
        conn,
        CheckpointRow,
        "SELECT seq, at, kid, jws FROM audit_checkpoints
         WHERE project_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq",
        project,
        after,
        to
    )
}

#[derive(FromRow)]
struct Due {
    project_id: ProjectId,
}

/// Projects after `after` whose chain has grown since its last checkpoint, if that was made at or before `aged` or lies
/// `most` entries back.
pub async fn due_projects(
    conn: &Conn,
    after: ProjectId,
    aged: Timestamp,
    most: i64,
    limit: i64,
) -> Result<Vec<ProjectId>> {
    let rows = fetch_all!(
        conn,
        Due,
        "SELECT h.project_id FROM audit_heads h JOIN projects p ON p.id = h.project_id
         LEFT JOIN audit_checkpoints c ON c.project_id = h.project_id
           AND c.seq = (SELECT max(l.seq) FROM audit_checkpoints l WHERE l.project_id = h.project_id)
         WHERE h.project_id > $1 AND p.status <> 'deleted'
           AND (c.seq IS NULL OR (h.seq > c.seq AND (c.at <= $2 OR h.seq - c.seq >= $3)))
         ORDER BY h.project_id LIMIT $4",
        after,
        aged,
        most,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.project_id).collect())
}
