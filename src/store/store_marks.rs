//! Marks that the store gets by the clock, by which a node recognises one that was set back. They are the instance's, so they are
//! not split by project.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::model::timestamp::Timestamp;

/// The number of the mark that names the store.
pub const NAME: i64 = 0;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Mark {
    pub seq: i64,
    /// Two stores that went on from the same backup have different ones.
    pub nonce: String,
    pub at: Timestamp,
}

pub async fn find(conn: &Conn, seq: i64) -> Result<Option<Mark>> {
    fetch_optional!(conn, Mark, "SELECT seq, nonce, at FROM store_marks WHERE seq = $1", seq)
}

pub async fn newest(conn: &Conn) -> Result<Option<Mark>> {
    fetch_optional!(conn, Mark, "SELECT seq, nonce, at FROM store_marks ORDER BY seq DESC LIMIT 1")
}

/// The oldest of those that go on without a gap to the newest.
pub async fn oldest(conn: &Conn) -> Result<Option<Mark>> {
    fetch_optional!(
        conn,
        Mark,
        "SELECT seq, nonce, at FROM store_marks WHERE seq > $1 AND told = FALSE ORDER BY seq LIMIT 1",
        NAME
    )
}

/// The last mark of `tessera restored`.
pub async fn newest_told(conn: &Conn) -> Result<Option<Mark>> {
    fetch_optional!(
        conn,
        Mark,
        "SELECT seq, nonce, at FROM store_marks WHERE told = TRUE ORDER BY seq DESC LIMIT 1"
    )
}

/// Of several nodes that make the same mark, one does.
pub async fn insert(conn: &Conn, mark: &Mark, told: bool) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO store_marks (seq, nonce, at, told) VALUES ($1, $2, $3, $4) ON CONFLICT (seq) DO NOTHING",
        mark.seq,
        &mark.nonce,
        mark.at,
        told
    )
}

/// Removes those up to a number, but for the store's name and what `tessera restored` made.
pub async fn delete_up_to(conn: &Conn, seq: i64) -> Result<u64> {
    execute!(conn, "DELETE FROM store_marks WHERE seq > $1 AND seq <= $2 AND told = FALSE", NAME, seq)
}
