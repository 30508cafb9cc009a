//! Passwords that users had before, for projects that let none of them be used again.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Former {
    secret: String,
}

/// The hashes of the present password and of those before it, at most `most` of them.
pub async fn list(conn: &Conn, project: ProjectId, user: UserId, most: i64) -> Result<Vec<String>> {
    let present = fetch_all!(
        conn,
        Former,
        "SELECT secret FROM credentials WHERE project_id = $1 AND user_id = $2 AND kind = 'password'",
        project,
        user
    )?;
    let former = fetch_all!(
        conn,
        Former,
        "SELECT secret FROM password_history WHERE project_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3",
        project,
        user,
        most
    )?;
    let most = usize::try_from(most).unwrap_or(0);
    Ok(present.into_iter().chain(former).map(|row| row.secret).take(most).collect())
}

/// Keeps the present password, which another one replaces.
pub async fn keep(conn: &Conn, project: ProjectId, now: Timestamp, id: Uuid, user: UserId) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO password_history (project_id, id, user_id, secret, created_at)
         SELECT project_id, $2, user_id, secret, $4 FROM credentials
         WHERE project_id = $1 AND user_id = $3 AND kind = 'password'",
        project,
        id,
        user,
        now
    )
}

/// Forgets all but the newest `kept`.
pub async fn trim(conn: &Conn, project: ProjectId, user: UserId, kept: i64) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM password_history WHERE project_id = $1 AND user_id = $2 AND id NOT IN (
           SELECT id FROM password_history WHERE project_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3)",
        project,
        user,
        kept
    )
}
