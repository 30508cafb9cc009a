//! The roles and groups that a project defines.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::holding::{Label, LabelKind};
use crate::model::timestamp::Timestamp;

/// No row: the name is taken.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    kind: LabelKind,
    name: &str,
    description: &str,
) -> Result<u64> {
    let sql = match kind {
        LabelKind::Role => {
            "INSERT INTO roles (project_id, name, description, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (project_id, name) DO NOTHING"
        }
        LabelKind::Group => {
            "INSERT INTO groups (project_id, name, description, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (project_id, name) DO NOTHING"
        }
    };
    execute!(conn, sql, project, name, description, now)
}

pub async fn find(conn: &Conn, project: ProjectId, kind: LabelKind, name: &str) -> Result<Option<Label>> {
    let sql = match kind {
        LabelKind::Role => {
            "SELECT name, description, created_at FROM roles WHERE project_id = $1 AND name = $2"
        }
        LabelKind::Group => {
            "SELECT name, description, created_at FROM groups WHERE project_id = $1 AND name = $2"
        }
    };
    fetch_optional!(conn, Label, sql, project, name)
}

/// In the order of their names, which are ASCII and compared by byte.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    kind: LabelKind,
    after: &str,
    limit: i64,
) -> Result<Vec<Label>> {
    let sql = match kind {
        LabelKind::Role => {
            "SELECT name, description, created_at FROM roles WHERE project_id = $1 AND name > $2
             ORDER BY name LIMIT $3"
        }
        LabelKind::Group => {
            "SELECT name, description, created_at FROM groups WHERE project_id = $1 AND name > $2
             ORDER BY name LIMIT $3"
        }
    };
    fetch_all!(conn, Label, sql, project, after, limit)
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

pub async fn count(conn: &Conn, project: ProjectId, kind: LabelKind) -> Result<i64> {
    let sql = match kind {
        LabelKind::Role => "SELECT count(*) AS n FROM roles WHERE project_id = $1",
        LabelKind::Group => "SELECT count(*) AS n FROM groups WHERE project_id = $1",
    };
    Ok(fetch_one!(conn, Count, sql, project)?.n)
}

pub async fn describe(
    conn: &Conn,
    project: ProjectId,
    kind: LabelKind,
    name: &str,
    description: &str,
) -> Result<u64> {
    let sql = match kind {
        LabelKind::Role => "UPDATE roles SET description = $1 WHERE project_id = $2 AND name = $3",
        LabelKind::Group => "UPDATE groups SET description = $1 WHERE project_id = $2 AND name = $3",
    };
    execute!(conn, sql, description, project, name)
}

/// The foreign key refuses while somebody holds it.
pub async fn delete(conn: &Conn, project: ProjectId, kind: LabelKind, name: &str) -> Result<u64> {
    let sql = match kind {
        LabelKind::Role => "DELETE FROM roles WHERE project_id = $1 AND name = $2",
        LabelKind::Group => "DELETE FROM groups WHERE project_id = $1 AND name = $2",
    };
    execute!(conn, sql, project, name)
}
