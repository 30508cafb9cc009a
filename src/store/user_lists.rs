//! Users by page, in the order in which they were made.

use super::db::{Conn, fetch_all};
use super::users::columns;
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::names::{folded, prefix_end};
use crate::model::user::UserRow;

/// Where a page begins and how many rows it has.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub after: Option<UserId>,
    pub limit: i64,
}

/// All users but tombstones; `status` narrows.
pub async fn list(conn: &Conn, project: ProjectId, status: Option<&str>, span: Span) -> Result<Vec<UserRow>> {
    fetch_all!(
        conn,
        UserRow,
        concat!(
            "SELECT ",
            columns!(),
            " FROM users WHERE project_id = $1 AND id > $2 AND status <> 'deleted' AND ($3 IS NULL OR status = $3)
             ORDER BY id LIMIT $4"
        ),
        project,
        span.after.unwrap_or(UserId(uuid::Uuid::nil())),
        status,
        span.limit
    )
}

/// Those whose user name or mail address begins with `search`, however it is written.
pub async fn search(
    conn: &Conn,
    project: ProjectId,
    search: &str,
    status: Option<&str>,
    span: Span,
) -> Result<Vec<UserRow>> {
    let from = folded(search);
    // Beyond every character there is nothing to end before.
    let to = prefix_end(&from);
    fetch_all!(
        conn,
        UserRow,
        concat!(
            "SELECT ",
            columns!(),
            " FROM users WHERE project_id = $1 AND id IN (
                SELECT id FROM users WHERE project_id = $1 AND username_key >= $2 AND ($3 IS NULL OR username_key < $3)
                UNION
                SELECT id FROM users WHERE project_id = $1 AND email_key >= $2 AND ($3 IS NULL OR email_key < $3))
               AND id > $4 AND status <> 'deleted' AND ($5 IS NULL OR status = $5)
             ORDER BY id LIMIT $6"
        ),
        project,
        &from,
        to.as_deref(),
        span.after.unwrap_or(UserId(uuid::Uuid::nil())),
        status,
        span.limit
    )
}
