//! Codes for whoever has lost every other second factor.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct Set {
    sealed_key: Vec<u8>,
}

/// The key under which the codes of a user are hashed.
pub async fn find_key(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<Vec<u8>>> {
    let set = fetch_optional!(
        conn,
        Set,
        "SELECT sealed_key FROM recovery_sets WHERE project_id = $1 AND user_id = $2",
        project,
        user
    )?;
    Ok(set.map(|set| set.sealed_key))
}

/// A new set in the place of any other.
pub async fn replace(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    (sealed_key, hashes): (&[u8], &[Vec<u8>]),
) -> Result<()> {
    delete_all(conn, project, user).await?;
    execute!(
        conn,
        "INSERT INTO recovery_sets (project_id, user_id, sealed_key, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, user_id) DO UPDATE SET sealed_key = $3, created_at = $4",
        project,
        user,
        sealed_key,
        now
    )?;
    for hash in hashes {
        execute!(
            conn,
            "INSERT INTO recovery_codes (project_id, user_id, code_hash) VALUES ($1, $2, $3)",
            project,
            user,
            hash
        )?;
    }
    Ok(())
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Whether it is one of the user's that is still good.
pub async fn is_unused(conn: &Conn, project: ProjectId, user: UserId, hash: &[u8]) -> Result<bool> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM recovery_codes
         WHERE project_id = $1 AND user_id = $2 AND code_hash = $3 AND used_at IS NULL",
        project,
        user,
        hash
    )?;
    Ok(count.n > 0)
}

/// Uses a code up. No row: it is none of the user's, or was used before.
pub async fn consume(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    hash: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE recovery_codes SET used_at = $1
         WHERE project_id = $2 AND user_id = $3 AND code_hash = $4 AND used_at IS NULL",
        now,
        project,
        user,
        hash
    )
}

/// The codes, used or not, and the key.
pub async fn delete_all(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    let codes =
        execute!(conn, "DELETE FROM recovery_codes WHERE project_id = $1 AND user_id = $2", project, user)?;
    execute!(conn, "DELETE FROM recovery_sets WHERE project_id = $1 AND user_id = $2", project, user)?;
    Ok(codes)
}
