//! Who holds a role, a group or an attribute: for listing, and for taking it back from all.
//!
//! The foreign key to the definition decides the race between giving and deleting: whoever gives locks the definition,
//! and a deletion that comes second fails and runs again.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one};
use super::user_lists::Span;
use super::users::columns;
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::holding::{Holding, LabelKind};
use crate::model::user::UserRow;

/// Notes that the user holds what `name` defines. No row: there is no such definition.
pub async fn give(
    conn: &Conn,
    project: ProjectId,
    holding: Holding,
    name: &str,
    user: UserId,
) -> Result<u64> {
    let sql = match holding {
        Holding::Role => {
            "INSERT INTO user_roles (project_id, user_id, role)
             SELECT project_id, $3, name FROM roles WHERE project_id = $1 AND name = $2"
        }
        Holding::Group => {
            "INSERT INTO user_groups (project_id, user_id, group_name)
             SELECT project_id, $3, name FROM groups WHERE project_id = $1 AND name = $2"
        }
        Holding::Attribute => {
            "INSERT INTO user_attributes (project_id, user_id, attribute)
             SELECT project_id, $3, name FROM attribute_definitions WHERE project_id = $1 AND name = $2"
        }
    };
    execute!(conn, sql, project, name, user)
}

pub async fn take(
    conn: &Conn,
    project: ProjectId,
    holding: Holding,
    name: &str,
    user: UserId,
) -> Result<u64> {
    let sql = match holding {
        Holding::Role => "DELETE FROM user_roles WHERE project_id = $1 AND role = $2 AND user_id = $3",
        Holding::Group => {
            "DELETE FROM user_groups WHERE project_id = $1 AND group_name = $2 AND user_id = $3"
        }
        Holding::Attribute => {
            "DELETE FROM user_attributes WHERE project_id = $1 AND attribute = $2 AND user_id = $3"
        }
    };
    execute!(conn, sql, project, name, user)
}

#[derive(FromRow)]
struct Holder {
    user_id: UserId,
}

/// Takes it from the first `limit` holders and names them, in the order of their ids.
pub async fn take_from_many(
    conn: &Conn,
    project: ProjectId,
    holding: Holding,
    name: &str,
    limit: i64,
) -> Result<Vec<UserId>> {
    let sql = match holding {
        Holding::Role => {
            "DELETE FROM user_roles WHERE project_id = $1 AND role = $2 AND user_id IN (
               SELECT user_id FROM user_roles WHERE project_id = $1 AND role = $2 ORDER BY user_id LIMIT $3)
             RETURNING user_id"
        }
        Holding::Group => {
            "DELETE FROM user_groups WHERE project_id = $1 AND group_name = $2 AND user_id IN (
               SELECT user_id FROM user_groups WHERE project_id = $1 AND group_name = $2 ORDER BY user_id LIMIT $3)
             RETURNING user_id"
        }
        Holding::Attribute => {
            "DELETE FROM user_attributes WHERE project_id = $1 AND attribute = $2 AND user_id IN (
               SELECT user_id FROM user_attributes WHERE project_id = $1 AND attribute = $2
               ORDER BY user_id LIMIT $3)
             RETURNING user_id"
        }
    };
    let mut users: Vec<UserId> = fetch_all!(conn, Holder, sql, project, name, limit)?
        .into_iter()
        .map(|holder| holder.user_id)
        .collect();
    // Rows are locked in one order everywhere, or two of these would wait for each other.
    users.sort_unstable();
    Ok(users)
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

pub async fn count(conn: &Conn, project: ProjectId, holding: Holding, name: &str) -> Result<i64> {
    let sql = match holding {
        Holding::Role => "SELECT count(*) AS n FROM user_roles WHERE project_id = $1 AND role = $2",
        Holding::Group => "SELECT count(*) AS n FROM user_groups WHERE project_id = $1 AND group_name = $2",
        Holding::Attribute => {
            "SELECT count(*) AS n FROM user_attributes WHERE project_id = $1 AND attribute = $2"
        }
    };
    Ok(fetch_one!(conn, Count, sql, project, name)?.n)
}

/// Who has a role or a group, in the order of their ids.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    kind: LabelKind,
    name: &str,
    span: Span,
) -> Result<Vec<UserRow>> {
    let after = span.after.unwrap_or(UserId(uuid::Uuid::nil()));
    let sql = match kind {
        LabelKind::Role => concat!(
            "SELECT ",
            columns!(),
            " FROM user_roles h JOIN users u ON u.project_id = h.project_id AND u.id = h.user_id
             WHERE h.project_id = $1 AND h.role = $2 AND h.user_id > $3 ORDER BY h.user_id LIMIT $4"
        ),
        LabelKind::Group => concat!(
            "SELECT ",
            columns!(),
            " FROM user_groups h JOIN users u ON u.project_id = h.project_id AND u.id = h.user_id
             WHERE h.project_id = $1 AND h.group_name = $2 AND h.user_id > $3 ORDER BY h.user_id LIMIT $4"
        ),
    };
    fetch_all!(conn, UserRow, sql, project, name, after, span.limit)
}
