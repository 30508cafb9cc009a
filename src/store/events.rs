//! The stream of sign-ins, refreshes and failures.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, FromRow, PgConnection, SqliteConnection};
use uuid::Uuid;

use super::db::{Conn, Wire, execute, fetch_all};
use crate::error::Result;
use crate::ids::{ClientId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    pub project_id: ProjectId,
    pub id: Uuid,
    pub at: Timestamp,
    pub kind: String,
    pub outcome: String,
    pub client_id: Option<ClientId>,
    pub user_id: Option<UserId>,
    pub sealed: Option<Vec<u8>>,
}

macro_rules! into {
    ($rows:literal) => {
        concat!("INSERT INTO events (project_id, id, at, kind, outcome, client_id, user_id, sealed) ", $rows)
    };
}

/// Columns of one row.
const COLUMNS: usize = 8;

/// All rows with one statement.
pub async fn insert(conn: &Conn, rows: &[EventRow]) -> Result<u64> {
    let mut lease = conn.0.lock().await;
    lease.pass().await;
    let written = match lease.wire()? {
        Wire::Postgres(conn, persistent) => insert_postgres(conn, persistent, rows).await,
        Wire::Sqlite(conn) => insert_sqlite(conn, rows).await,
    };
    lease.settle(written)
}

/// A list for each column: one text for any number of rows, which stays prepared.
async fn insert_postgres(
    conn: &mut PgConnection,
    persistent: bool,
    rows: &[EventRow],
) -> Result<u64, sqlx::Error> {
    fn column<'r, T>(rows: &'r [EventRow], of: impl Fn(&'r EventRow) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let sql = into!(
        "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::bytea[])"
    );
    let done = sqlx::query(sql)
        .bind(column(rows, |row| row.project_id.0))
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.at))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.outcome.as_str()))
        .bind(column(rows, |row| row.client_id.map(|id| id.0)))
        .bind(column(rows, |row| row.user_id.map(|id| id.0)))
        .bind(column(rows, |row| row.sealed.as_deref()))
        .persistent(persistent)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// A place for each value: the macros know a fixed number of them.
async fn insert_sqlite(conn: &mut SqliteConnection, rows: &[EventRow]) -> Result<u64, sqlx::Error> {
    let mut sql = into!("VALUES ").to_owned();
    for number in 0..rows.len() {
        let comma = if number == 0 { "" } else { ", " };
        let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8].map(|place| number * COLUMNS + place);
        // Writing to a String does not fail.
        let _ = write!(sql, "{comma}(${a}, ${b}, ${c}, ${d}, ${e}, ${f}, ${g}, ${h})");
    }
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for row in rows {
        query = query
            .bind(row.project_id)
            .bind(row.id)
            .bind(row.at)
            .bind(&row.kind)
            .bind(&row.outcome)
            .bind(row.client_id)
            .bind(row.user_id)
            .bind(&row.sealed);
    }
    Ok(query.execute(conn).await?.rows_affected())
}

/// Which events: all that is named must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    pub kind: Option<String>,
    pub outcome: Option<String>,
    pub client: Option<ClientId>,
    pub user: Option<UserId>,
}

/// The first id of a moment: ids begin with their millisecond (RFC 9562, 5.7).
fn first_id(moment: Timestamp) -> Uuid {
    let millis = u64::try_from(moment.micros() / 1000).unwrap_or(0);
    Uuid::from_u128(u128::from(millis) << 80)
}

/// The first id after a moment.
fn next_id(moment: Timestamp) -> Uuid {
    first_id(Timestamp::from_micros(moment.micros().saturating_add(1000)))
}

/// Newest first, those before `after`.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    filter: &Filter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let from = filter.since.map_or(Uuid::nil(), first_id);
    let to = filter.until.map_or(Uuid::max(), next_id);
    let to = after.map_or(to, |after| after.min(to));
    macro_rules! page {
        ($demand:literal) => {
            fetch_all!(
                conn,
                EventRow,
                concat!(
                    "SELECT project_id, id, at, kind, outcome, client_id, user_id, sealed FROM events
                     WHERE project_id = $1 AND id >= $2 AND id < $3 AND ",
                    $demand,
                    " AND ($4 IS NULL OR user_id = $4) AND ($5 IS NULL OR kind = $5)
                      AND ($6 IS NULL OR outcome = $6) AND ($7 IS NULL OR client_id = $7)
                      AND ($8 IS NULL OR at >= $8) AND ($9 IS NULL OR at < $9)
                     ORDER BY id DESC LIMIT $10"
                ),
                project,
                from,
                to,
                filter.user,
                filter.kind.as_deref(),
                filter.outcome.as_deref(),
                filter.client,
                filter.since,
                filter.until,
                limit
            )
        };
    }
    // SQLite chooses an index before it knows which parameters are null.
    match filter.user {
        Some(_) => page!("user_id = $4"),
        None => page!("TRUE"),
    }
}

/// One batch of the project's events from before a moment. Those of somebody under a legal hold stay.
pub async fn delete_before(conn: &Conn, project: ProjectId, end: Timestamp) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM events WHERE project_id = $1 AND id IN (
           SELECT e.id FROM events e WHERE e.project_id = $1 AND e.id < $2 AND NOT EXISTS (SELECT 1 FROM deletion_guards g
             WHERE g.project_id = e.project_id AND g.user_id = e.user_id AND g.kind = 'legal_hold')
           ORDER BY e.id LIMIT 500)",
        project,
        first_id(end)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lies_within_its_millisecond() {
        let moment = Timestamp::from_micros(1_800_000_000_123_456);
        let id: Uuid = crate::entropy::Entropy::default().id(moment).unwrap();
        assert!(first_id(moment) <= id && id < next_id(moment));
    }
}
