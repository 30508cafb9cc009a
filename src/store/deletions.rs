//! Requested deletions. A unit that locks both takes the user's row first and the deletion's second.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{DeletionId, ProjectId, UserId};
use crate::model::deletion::State;
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct Deletion {
    pub id: DeletionId,
    pub user_id: UserId,
    /// The user's version at the request, to which a confirmation is bound.
    pub user_version: i64,
    pub state: String,
    /// How it has to be confirmed, and how many days later it is executed: as the project had it at the request.
    pub method: String,
    pub restore_days: i64,
    /// Who asked.
    pub actor: String,
    pub confirmed_by: Option<String>,
    pub reason: String,
    pub notify: bool,
    /// Why the user is not told, where an admin wants it so.
    pub notify_reason: Option<String>,
    /// JSON document
    pub impact: String,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub execute_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Seconds that the project's clock was ahead at the request.
    pub clock_offset: i64,
}

pub async fn find(conn: &Conn, project: ProjectId, id: DeletionId) -> Result<Option<Deletion>> {
    fetch_optional!(
        conn,
        Deletion,
        "SELECT id, user_id, user_version, state, method, restore_days, actor, confirmed_by, reason, notify, notify_reason, impact,
           requested_at, expires_at, confirmed_at, execute_at, finished_at, clock_offset
         FROM deletions WHERE project_id = $1 AND id = $2",
        project,
        id
    )
}

/// The pending or scheduled deletion of a user; there is at most one.
pub async fn find_open(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<Deletion>> {
    fetch_optional!(
        conn,
        Deletion,
        "SELECT id, user_id, user_version, state, method, restore_days, actor, confirmed_by, reason, notify, notify_reason, impact,
           requested_at, expires_at, confirmed_at, execute_at, finished_at, clock_offset
         FROM deletions WHERE project_id = $1 AND user_id = $2 AND state IN ('pending', 'scheduled')",
        project,
        user
    )
}

/// Whether the user is disabled because a deletion waits for its day.
pub async fn is_scheduled(conn: &Conn, project: ProjectId, user: UserId) -> Result<bool> {
    Ok(find_open(conn, project, user).await?.is_some_and(|open| open.state == State::Scheduled.as_str()))
}

/// Adds a pending deletion. No row: another one of this user is open.
pub async fn insert(conn: &Conn, project: ProjectId, deletion: &Deletion) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO deletions (project_id, id, user_id, user_version, state, method, restore_days, actor, reason,
           notify, notify_reason, impact, failed_attempts, requested_at, expires_at, clock_offset)
         VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $14)
         ON CONFLICT (project_id, user_id) WHERE state IN ('pending', 'scheduled') DO NOTHING",
        project,
        deletion.id,
        deletion.user_id,
        deletion.user_version,
        &deletion.method,
        deletion.restore_days,
        &deletion.actor,
        &deletion.reason,
        deletion.notify,
        &deletion.notify_reason,
        &deletion.impact,
        deletion.requested_at,
        deletion.expires_at,
        deletion.clock_offset
    )
}

/// Closes the pending deletion of a user that can no longer be confirmed: too old, or the user is no longer at `version`.
pub async fn expire_stale(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    version: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = 'expired', finished_at = $1
         WHERE project_id = $2 AND user_id = $3 AND state = 'pending' AND (expires_at <= $1 OR user_version <> $4)",
        now,
        project,
        user,
        version
    )
}

/// What somebody changes of their own record takes a pending deletion along to the record's next version, so that nobody
/// outruns theirs. One that a change by others has left behind stays behind.
pub async fn follow(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    (before, after): (i64, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET user_version = $1
         WHERE project_id = $2 AND user_id = $3 AND user_version = $4 AND state = 'pending'",
        after,
        project,
        user,
        before
    )
}

/// Closes a pending deletion that was found out of date while it was being confirmed.
pub async fn expire(conn: &Conn, project: ProjectId, now: Timestamp, id: DeletionId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = 'expired', finished_at = $1
         WHERE project_id = $2 AND id = $3 AND state = 'pending'",
        now,
        project,
        id
    )
}

#[derive(FromRow)]
struct Failures {
    failed_attempts: i64,
}

/// Counts a wrong confirmation, and cancels with the `most`-th. `None`: it is no longer pending.
pub async fn count_failure(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeletionId,
    most: i64,
) -> Result<Option<i64>> {
    let failures = fetch_optional!(
        conn,
        Failures,
        "UPDATE deletions SET failed_attempts = failed_attempts + 1,
           state = CASE WHEN failed_attempts + 1 >= $1 THEN 'cancelled' ELSE state END,
           finished_at = CASE WHEN failed_attempts + 1 >= $1 THEN $2 ELSE finished_at END
         WHERE project_id = $3 AND id = $4 AND state = 'pending' RETURNING failed_attempts",
        most,
        now,
        project,
        id
    )?;
    Ok(failures.map(|row| row.failed_attempts))
}

/// Takes a pending deletion for execution; of two callers one gets a row.
pub async fn confirm(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeletionId,
    by: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = 'executed', confirmed_by = $1, confirmed_at = $2, finished_at = $2
         WHERE project_id = $3 AND id = $4 AND state = 'pending'",
        by,
        now,
        project,
        id
    )
}

/// Takes a pending deletion for a later day, and remembers the status that cancelling gives back.
pub async fn schedule(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeletionId,
    by: &str,
    (execute_at, former_status): (Timestamp, &str),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = 'scheduled', confirmed_by = $1, confirmed_at = $2, execute_at = $3,
           former_status = $4
         WHERE project_id = $5 AND id = $6 AND state = 'pending'",
        by,
        now,
        execute_at,
        former_status,
        project,
        id
    )
}

/// What was cancelled.
#[derive(Clone, Debug, FromRow)]
pub struct Cancelled {
    pub user_id: UserId,
    /// The user's status before a scheduled deletion disabled it; `None` for one that was pending.
    pub former_status: Option<String>,
}

pub async fn cancel(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeletionId,
) -> Result<Option<Cancelled>> {
    fetch_optional!(
        conn,
        Cancelled,
        "UPDATE deletions SET state = 'cancelled', finished_at = $1
         WHERE project_id = $2 AND id = $3 AND state IN ('pending', 'scheduled') RETURNING user_id, former_status",
        now,
        project,
        id
    )
}

#[derive(FromRow)]
struct Number {
    n: i64,
}

/// Users of the project whose deletion was confirmed or executed since, and not called off. Those who deleted themselves are not
/// counted: that is no slip of an admin's, and none of it may make an admin's work harder.
pub async fn count_since(conn: &Conn, project: ProjectId, since: Timestamp) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Number,
        "SELECT (SELECT count(*) FROM deletions
                 WHERE project_id = $1 AND confirmed_at > $2 AND state IN ('scheduled', 'executed')
                   AND SUBSTR(actor, 1, 5) <> 'user:')
              + (SELECT count(*) FROM deletions
                 WHERE project_id = $1 AND state = 'executed' AND finished_at > $2 AND confirmed_at <= $2
                   AND SUBSTR(actor, 1, 5) <> 'user:') AS n",
        project,
        since
    )?;
    Ok(count.n)
}

/// What the execution ended, in place of what the request expected.
pub async fn set_impact(conn: &Conn, project: ProjectId, id: DeletionId, impact: &str) -> Result<u64> {
    execute!(conn, "UPDATE deletions SET impact = $1 WHERE project_id = $2 AND id = $3", impact, project, id)
}

/// Closes whatever is open for a user who has been erased by the ledger: the deletion that its line names was executed, and
/// no other was.
pub async fn close_erased(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    executed: DeletionId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE deletions SET state = CASE WHEN id = $4 THEN 'executed' ELSE 'cancelled' END, finished_at = $1
         WHERE project_id = $2 AND user_id = $3 AND state IN ('pending', 'scheduled')",
        now,
        project,
        user,
        executed
    )
}
