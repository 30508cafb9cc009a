//! The users of a deletion of many, and what has become of each.

use serde::Serialize;
use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use super::erasing::Person;
use crate::error::Result;
use crate::ids::{BulkId, DeletionId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// Which users; what is `None` narrows nothing.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    pub status: Option<&'static str>,
    /// User names from here on, and before there.
    pub names: (Option<String>, Option<String>),
    pub created_before: Option<Timestamp>,
    /// Without a sign-in since.
    pub inactive_since: Option<Timestamp>,
    pub group: Option<String>,
    pub role: Option<String>,
}

/// Adds those who match, at most `most` of them.
pub async fn insert_matching(
    conn: &Conn,
    project: ProjectId,
    bulk: BulkId,
    matching: &Matching,
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO bulk_deletion_users (project_id, bulk_id, user_id, user_version, attempts)
         SELECT u.project_id, $2, u.id, u.version, 0 FROM users u
         WHERE u.project_id = $1 AND u.status <> 'deleted' AND ($3 IS NULL OR u.status = $3)
           AND ($4 IS NULL OR u.username_key >= $4) AND ($5 IS NULL OR u.username_key < $5)
           AND ($6 IS NULL OR u.created_at < $6)
           AND ($7 IS NULL OR COALESCE(u.last_sign_in_at, u.created_at) < $7)
           AND ($8 IS NULL OR EXISTS (SELECT 1 FROM user_groups g
                 WHERE g.project_id = u.project_id AND g.user_id = u.id AND g.group_name = $8))
           AND ($9 IS NULL OR EXISTS (SELECT 1 FROM user_roles r
                 WHERE r.project_id = u.project_id AND r.user_id = u.id AND r.role = $9))
         LIMIT $10",
        project,
        bulk,
        matching.status,
        matching.names.0.as_deref(),
        matching.names.1.as_deref(),
        matching.created_before,
        matching.inactive_since,
        matching.group.as_deref(),
        matching.role.as_deref(),
        most
    )
}

/// Adds one who was named. Who is not there has an outcome at once.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    bulk: BulkId,
    user: UserId,
) -> Result<u64> {
    let found = fetch_optional!(
        conn,
        (i64,),
        "SELECT version FROM users WHERE project_id = $1 AND id = $2 AND status <> 'deleted'",
        project,
        user
    )?;
    let (version, outcome, finished) = match found {
        Some((version,)) => (version, None, None),
        None => (0, Some("not_found"), Some(now)),
    };
    execute!(
        conn,
        "INSERT INTO bulk_deletion_users (project_id, bulk_id, user_id, user_version, outcome, attempts, finished_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (project_id, bulk_id, user_id) DO NOTHING",
        project,
        bulk,
        user,
        version,
        outcome,
        finished
    )
}

/// One of them as a person, for the rule about reasons.
#[derive(Clone, Debug, FromRow)]
pub struct Named {
    pub user_id: UserId,
    #[sqlx(flatten)]
    pub person: Person,
}

pub async fn list_people(
    conn: &Conn,
    project: ProjectId,
    bulk: BulkId,
    after: UserId,
    most: i64,
) -> Result<Vec<Named>> {
    fetch_all!(
        conn,
        Named,
        "SELECT b.user_id, u.status, u.version, u.username, u.email, u.profile, u.attributes, u.groups
         FROM bulk_deletion_users b
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.bulk_id = $2 AND b.user_id > $3 ORDER BY b.user_id LIMIT $4",
        project,
        bulk,
        after,
        most
    )
}

/// What there is of them now.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Preview {
    /// Who would be deleted, if nothing changes.
    pub users: i64,
    /// Of these, who is kept by something.
    pub legal_hold: i64,
    pub deletion_protection: i64,
    /// Of these, whose deletion is open already.
    pub open: i64,
    /// Who was named and is not there.
    pub not_found: i64,
    /// Live token families.
    pub families: i64,
    /// Live browser sessions.
    pub browser_sessions: i64,
}

pub async fn preview(conn: &Conn, project: ProjectId, now: Timestamp, bulk: BulkId) -> Result<Preview> {
    fetch_one!(
        conn,
        Preview,
        "SELECT
           (SELECT count(*) FROM bulk_deletion_users WHERE project_id = $1 AND bulk_id = $2 AND outcome IS NULL) AS users,
           (SELECT count(*) FROM bulk_deletion_users b JOIN deletion_guards g
              ON g.project_id = b.project_id AND g.user_id = b.user_id AND g.kind = 'legal_hold'
              WHERE b.project_id = $1 AND b.bulk_id = $2) AS legal_hold,
           (SELECT count(*) FROM bulk_deletion_users b JOIN deletion_guards g
              ON g.project_id = b.project_id AND g.user_id = b.user_id AND g.kind = 'deletion_protection'
              WHERE b.project_id = $1 AND b.bulk_id = $2) AS deletion_protection,
           (SELECT count(*) FROM bulk_deletion_users b JOIN deletions d
              ON d.project_id = b.project_id AND d.user_id = b.user_id AND d.state IN ('pending', 'scheduled')
              WHERE b.project_id = $1 AND b.bulk_id = $2) AS open,
           (SELECT count(*) FROM bulk_deletion_users
              WHERE project_id = $1 AND bulk_id = $2 AND outcome = 'not_found') AS not_found,
           (SELECT count(*) FROM bulk_deletion_users b
              JOIN token_families f ON f.project_id = b.project_id AND f.user_id = b.user_id
              JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
              JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
              WHERE b.project_id = p.id AND b.bulk_id = $2 AND f.revoked_at IS NULL AND f.expires_at > $3
                AND f.idle_expires_at > $3 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
                AND f.user_epoch = u.token_epoch) AS families,
           (SELECT count(*) FROM bulk_deletion_users b
              JOIN browser_sessions s ON s.project_id = b.project_id AND s.user_id = b.user_id
              JOIN users u ON u.project_id = s.project_id AND u.id = s.user_id
              WHERE b.project_id = p.id AND b.bulk_id = $2 AND s.ended_at IS NULL AND s.expires_at > $3
                AND s.project_epoch = p.token_epoch AND s.browser_epoch = u.browser_epoch) AS browser_sessions
         FROM projects p WHERE p.id = $1",
        project,
        bulk,
        now
    )
}

/// The first of them, by id.
pub async fn list_ids(conn: &Conn, project: ProjectId, bulk: BulkId, most: i64) -> Result<Vec<UserId>> {
    let rows = fetch_all!(
        conn,
        (UserId,),
        "SELECT user_id FROM bulk_deletion_users
         WHERE project_id = $1 AND bulk_id = $2 AND outcome IS NULL ORDER BY user_id LIMIT $3",
        project,
        bulk,
        most
    )?;
    Ok(rows.into_iter().map(|(user,)| user).collect())
}

#[derive(Clone, Debug, FromRow)]
pub struct Number {
    /// `None`: they wait.
    pub outcome: Option<String>,
    pub n: i64,
}

/// How many have come to what.
pub async fn count(conn: &Conn, project: ProjectId, bulk: BulkId) -> Result<Vec<Number>> {
    fetch_all!(
        conn,
        Number,
        "SELECT outcome, count(*) AS n FROM bulk_deletion_users WHERE project_id = $1 AND bulk_id = $2
         GROUP BY outcome LIMIT 20",
        project,
        bulk
    )
}

/// What has become of a user.
#[derive(Clone, Debug, FromRow, Serialize)]
pub struct Of {
    #[serde(rename = "user")]
    pub user_id: UserId,
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_id: Option<DeletionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Users after `after`, by id; `outcome` narrows.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    bulk: BulkId,
    outcome: Option<&str>,
    (after, most): (UserId, i64),
) -> Result<Vec<Of>> {
    fetch_all!(
        conn,
        Of,
        "SELECT user_id, outcome, deletion_id, finished_at FROM bulk_deletion_users
         WHERE project_id = $1 AND bulk_id = $2 AND user_id > $3 AND ($4 IS NULL OR outcome = $4)
         ORDER BY user_id LIMIT $5",
        project,
        bulk,
        after,
        outcome,
        most
    )
}

#[derive(FromRow)]
struct Next {
    user_id: UserId,
}

/// Those who wait for the job, by id.
pub async fn list_waiting(
    conn: &Conn,
    project: ProjectId,
    bulk: BulkId,
    (after, most): (UserId, i64),
) -> Result<Vec<UserId>> {
    let rows = fetch_all!(
        conn,
        Next,
        "SELECT user_id FROM bulk_deletion_users
         WHERE project_id = $1 AND bulk_id = $2 AND outcome IS NULL AND user_id > $3 ORDER BY user_id LIMIT $4",
        project,
        bulk,
        after,
        most
    )?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// The version to which the confirmation is bound; `None` once something has become of the user.
pub async fn find_waiting(
    conn: &Conn,
    project: ProjectId,
    bulk: BulkId,
    user: UserId,
) -> Result<Option<i64>> {
    let found = fetch_optional!(
        conn,
        (i64,),
        "SELECT user_version FROM bulk_deletion_users
         WHERE project_id = $1 AND bulk_id = $2 AND user_id = $3 AND outcome IS NULL",
        project,
        bulk,
        user
    )?;
    Ok(found.map(|(version,)| version))
}

/// What users change of their own record takes them along, so that nobody outruns their deletion.
pub async fn follow(
    conn: &Conn,
    project: ProjectId,
    user: UserId,
    (before, after): (i64, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletion_users SET user_version = $1
         WHERE project_id = $2 AND user_id = $3 AND user_version = $4 AND outcome IS NULL",
        after,
        project,
        user,
        before
    )
}

/// Says what has become of one who waited. No row: that was said before.
pub async fn settle(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    (bulk, user): (BulkId, UserId),
    outcome: &str,
    deletion: Option<DeletionId>,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletion_users SET outcome = $1, deletion_id = $2, finished_at = $3
         WHERE project_id = $4 AND bulk_id = $5 AND user_id = $6 AND outcome IS NULL",
        outcome,
        deletion,
        now,
        project,
        bulk,
        user
    )
}

/// Counts a failure of ours; with the `most`-th the user is given up.
pub async fn count_failure(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    (bulk, user): (BulkId, UserId),
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE bulk_deletion_users SET attempts = attempts + 1,
           outcome = CASE WHEN attempts + 1 >= $1 THEN 'failed' ELSE outcome END,
           finished_at = CASE WHEN attempts + 1 >= $1 THEN $2 ELSE finished_at END
         WHERE project_id = $3 AND bulk_id = $4 AND user_id = $5 AND outcome IS NULL",
        most,
        now,
        project,
        bulk,
        user
    )
}
