//! The jobs of this instance: one row each, for all nodes and all projects.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::model::timestamp::Timestamp;

/// A job as operators see it. It runs when `started_at` is later than `finished_at`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct JobRow {
    pub name: String,
    pub next_run_at: Timestamp,
    /// Until when a node holds it.
    pub lease_until: Option<Timestamp>,
    /// Failed runs in a row.
    pub failures: i64,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// `ok: …` or `failed: …`, of the run that finished last.
    pub outcome: Option<String>,
}

pub async fn list(conn: &Conn) -> Result<Vec<JobRow>> {
    fetch_all!(
        conn,
        JobRow,
        "SELECT name, next_run_at, lease_until, failures, started_at, finished_at, outcome
         FROM jobs ORDER BY name LIMIT 100"
    )
}

pub async fn find(conn: &Conn, name: &str) -> Result<Option<JobRow>> {
    fetch_optional!(
        conn,
        JobRow,
        "SELECT name, next_run_at, lease_until, failures, started_at, finished_at, outcome
         FROM jobs WHERE name = $1",
        name
    )
}

/// Makes the row of a job that is due at once; several nodes may do so together.
pub async fn insert(conn: &Conn, now: Timestamp, name: &str) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO jobs (name, next_run_at, failures) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING",
        name,
        now
    )
}

/// Takes a due job until `until`: of many nodes one gets a row. A lease that lapsed belongs to nobody.
pub async fn lease(
    conn: &Conn,
    now: Timestamp,
    name: &str,
    lease: &str,
    until: Timestamp,
) -> Result<Option<JobRow>> {
    fetch_optional!(
        conn,
        JobRow,
        "UPDATE jobs SET lease = $1, lease_until = $2, started_at = $3
         WHERE name = $4 AND next_run_at <= $3 AND (lease IS NULL OR lease_until <= $3)
         RETURNING name, next_run_at, lease_until, failures, started_at, finished_at, outcome",
        lease,
        until,
        now,
        name
    )
}

/// Ends a run, unless another node has taken the job over.
pub async fn finish(
    conn: &Conn,
    now: Timestamp,
    name: &str,
    lease: &str,
    outcome: &str,
    (failures, next_run_at): (i64, Timestamp),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE jobs SET lease = NULL, lease_until = NULL, finished_at = $1, outcome = $2, failures = $3,
           next_run_at = $4
         WHERE name = $5 AND lease = $6",
        now,
        outcome,
        failures,
        next_run_at,
        name,
        lease
    )
}
