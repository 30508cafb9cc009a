//! The erasure ledger of the instance, in order of commits. It is read and replayed as a whole, so it is not split by
//! project.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{DeletionId, ProjectId};

/// The number of the next line, and the mac of the line before it.
#[derive(Clone, Debug, FromRow)]
pub struct Head {
    pub seq: i64,
    pub mac: String,
}

#[derive(Clone, Debug, FromRow)]
pub struct Erasure {
    pub seq: i64,
    pub line: String,
}

/// Takes the next number. The row stays locked until the unit ends.
pub async fn raise_head(conn: &Conn) -> Result<Head> {
    execute!(conn, "INSERT INTO erasure_head (id, seq, mac) VALUES (1, 0, '-') ON CONFLICT (id) DO NOTHING")?;
    fetch_one!(conn, Head, "UPDATE erasure_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, mac")
}

/// Adds the line that the head was raised for.
pub async fn insert(conn: &Conn, seq: i64, line: &str, mac: &str) -> Result<()> {
    execute!(conn, "INSERT INTO erasures (seq, line) VALUES ($1, $2)", seq, line)?;
    execute!(conn, "UPDATE erasure_head SET mac = $1 WHERE id = 1", mac)?;
    Ok(())
}

/// The last line.
pub async fn head(conn: &Conn) -> Result<Option<Head>> {
    fetch_optional!(conn, Head, "SELECT seq, mac FROM erasure_head WHERE id = 1")
}

#[derive(FromRow)]
struct Text {
    line: String,
}

pub async fn find(conn: &Conn, seq: i64) -> Result<Option<String>> {
    let row = fetch_optional!(conn, Text, "SELECT line FROM erasures WHERE seq = $1", seq)?;
    Ok(row.map(|row| row.line))
}

/// The line of a user's deletion, if there is one. It is looked for in all of them, which only a question without an answer
/// costs.
pub async fn find_of(conn: &Conn, project: ProjectId, deletion: DeletionId) -> Result<Option<String>> {
    // Ids alone: nothing of it is anybody's text.
    let like = format!("1 % {project} % {deletion} %");
    let row = fetch_optional!(
        conn,
        Text,
        "SELECT line FROM erasures WHERE line LIKE $1 ORDER BY seq LIMIT 1",
        like
    )?;
    Ok(row.map(|row| row.line))
}

/// Lines after `seq`, in order.
pub async fn list_after(conn: &Conn, seq: i64, most: i64) -> Result<Vec<Erasure>> {
    fetch_all!(
        conn,
        Erasure,
        "SELECT seq, line FROM erasures WHERE seq > $1 ORDER BY seq LIMIT $2",
        seq,
        most
    )
}
