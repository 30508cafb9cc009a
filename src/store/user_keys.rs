//! The data key of each user, sealed. It is made when something personal is first recorded, and goes with the user.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Sealed {
    sealed_key: Vec<u8>,
}

pub async fn find(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<Vec<u8>>> {
    let row = fetch_optional!(
        conn,
        Sealed,
        "SELECT sealed_key FROM user_keys WHERE project_id = $1 AND user_id = $2",
        project,
        user
    )?;
    Ok(row.map(|row| row.sealed_key))
}

/// Of several callers the first one's key stays. A deleted user gets none.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    sealed_key: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO user_keys (project_id, user_id, sealed_key, created_at)
         SELECT project_id, id, $3, $4 FROM users WHERE project_id = $1 AND id = $2 AND status <> 'deleted'
         ON CONFLICT (project_id, user_id) DO NOTHING",
        project,
        user,
        sealed_key,
        now
    )
}
