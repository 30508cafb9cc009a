//! The outbox: what must leave the house after a unit is committed. Bodies are sealed by the caller.
//!
//! The jobs look across projects, by time; everything that touches one message names its project.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, FamilyId, OutboxId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A message whose time has come.
#[derive(Clone, Debug, FromRow)]
pub struct Due {
    pub project_id: ProjectId,
    pub id: OutboxId,
    /// Whom a logout token is for; or an event, whose webhook stands here like a client.
    pub client_id: Option<ClientId>,
    /// When it was written, or when an admin had it sent again.
    pub created_at: Timestamp,
}

/// A message that is ours until the lease lapses.
#[derive(Clone, Debug, FromRow)]
pub struct Leased {
    pub kind: String,
    /// Of a letter.
    pub sealed_body: Option<Vec<u8>>,
    /// Of a logout token: whom it is for, whose session it was, and which.
    pub client_id: Option<ClientId>,
    pub user_id: Option<UserId>,
    pub family_id: Option<FamilyId>,
    /// By which the client knows the user; `None`: the user's id.
    pub subject: Option<String>,
    /// This one included.
    pub attempts: i64,
    /// When it was written, or when an admin had it sent again.
    pub created_at: Timestamp,
}

/// Puts a message into the outbox, in the unit of the act that it tells of. What a sandbox writes is caught there; what is asked
/// of it is answered as everywhere.
pub async fn enqueue(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: OutboxId,
    kind: &str,
    sealed_body: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO outbox (project_id, id, kind, sealed_body, state, attempts, next_attempt_at, created_at)
         VALUES ($1, $2, $3, $4, CASE WHEN $3 <> 'mail_request' AND EXISTS (
           SELECT 1 FROM projects WHERE id = $1 AND kind = 'sandbox') THEN 'caught' ELSE 'waiting' END, 0, $5, $5)",
        project,
        id,
        kind,
        sealed_body,
        now
    )
}

/// The same of what is meant for somebody without an account, which goes with whoever has the address when they are deleted.
pub async fn enqueue_to_address(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    (id, kind): (OutboxId, &str),
    address_key: &[u8],
    sealed_body: &[u8],
) -> Result<u64> {
    enqueue(conn, project, now, id, kind, sealed_body).await?;
    execute!(
        conn,
        "UPDATE outbox SET address_key = $1 WHERE project_id = $2 AND id = $3",
        address_key,
        project,
        id
    )
}

/// The same of a letter to a user, which goes with the user.
pub async fn enqueue_to(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    (id, kind): (OutboxId, &str),
    user: UserId,
    sealed_body: &[u8],
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO outbox (project_id, id, kind, user_id, sealed_body, state, attempts, next_attempt_at, created_at)
         VALUES ($1, $2, $3, $4, $5, CASE WHEN EXISTS (
           SELECT 1 FROM projects WHERE id = $1 AND kind = 'sandbox') THEN 'caught' ELSE 'waiting' END, 0, $6, $6)",
        project,
        id,
        kind,
        user,
        sealed_body,
        now
    )
}

/// What is due, of all projects: the first of each client (of letters: of each project), then the second of each, and so on,
/// so that nobody's many stand before another's one.
macro_rules! due {
    ($kind:literal) => {
        concat!(
            "SELECT project_id, id, client_id, created_at FROM (
               SELECT project_id, id, COALESCE(client_id, webhook_id) AS client_id,
                 COALESCE(retried_at, created_at) AS created_at, next_attempt_at,
                 ROW_NUMBER() OVER (PARTITION BY project_id, COALESCE(client_id, webhook_id) ORDER BY next_attempt_at, id) AS place
               FROM outbox WHERE state = 'waiting' AND next_attempt_at <= $1 AND ",
            $kind,
            " ) AS due ORDER BY place, next_attempt_at LIMIT $2"
        )
    };
}

pub async fn list_due_letters(conn: &Conn, now: Timestamp, most: i64) -> Result<Vec<Due>> {
    fetch_all!(conn, Due, due!("kind NOT IN ('logout_token', 'webhook')"), now, most)
}

pub async fn list_due_posts(conn: &Conn, now: Timestamp, most: i64) -> Result<Vec<Due>> {
    fetch_all!(conn, Due, due!("kind IN ('logout_token', 'webhook')"), now, most)
}

/// Puts off what is due to a client, or to all clients of a project, and was written after `oldest`. It is no attempt.
pub async fn set_aside(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: Option<ClientId>,
    (oldest, until): (Timestamp, Timestamp),
    why: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE outbox SET lease = NULL, next_attempt_at = $1, last_error = $2
         WHERE project_id = $3 AND state = 'waiting' AND kind IN ('logout_token', 'webhook') AND next_attempt_at <= $4
           AND COALESCE(retried_at, created_at) > $5 AND ($6 IS NULL OR COALESCE(client_id, webhook_id) = $6)",
        until,
        why,
        project,
        now,
        oldest,
        client
    )
}

/// Takes a due message until `until`; of many nodes one gets the row. A lease that lapsed is taken over the same way.
pub async fn lease(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: OutboxId,
    lease: &str,
    until: Timestamp,
) -> Result<Option<Leased>> {
    fetch_optional!(
        conn,
        Leased,
        "UPDATE outbox SET lease = $1, next_attempt_at = $2, attempts = attempts + 1
         WHERE project_id = $3 AND id = $4 AND state = 'waiting' AND next_attempt_at <= $5
         RETURNING kind, sealed_body, client_id, user_id, family_id, subject, attempts,
           COALESCE(retried_at, created_at) AS created_at",
        lease,
        until,
        project,
        id,
        now
    )
}

/// Marks as delivered and erases what it held, whoever holds the lease by now: delivered is a fact.
pub async fn mark_delivered(conn: &Conn, project: ProjectId, now: Timestamp, id: OutboxId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE outbox SET state = 'delivered', sealed_body = NULL, user_id = NULL, subject = NULL, lease = NULL,
           last_error = NULL, finished_at = $1
         WHERE project_id = $2 AND id = $3 AND state = 'waiting'",
        now,
        project,
        id
    )
}

/// Gives up, and keeps what it can be sent again with: a letter while its user lives, or, when it is to nobody with an account,
/// while it is not older than `oldest`; a logout token, which has no body, its ids while the user lives; an event, which says
/// nothing personal.
pub async fn mark_dead(
    conn: &Conn,
    project: ProjectId,
    (now, oldest): (Timestamp, Timestamp),
    id: OutboxId,
    lease: &str,
    error: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE outbox SET state = 'dead', lease = NULL, last_error = $1, finished_at = $2,
           sealed_body = CASE WHEN kind = 'webhook' OR (kind = 'mail' AND (user_id IS NULL AND created_at > $3 OR EXISTS (
               SELECT 1 FROM users u WHERE u.project_id = outbox.project_id AND u.id = outbox.user_id
                 AND u.status <> 'deleted'))) THEN sealed_body END,
           user_id = (SELECT u.id FROM users u WHERE u.project_id = outbox.project_id AND u.id = outbox.user_id
             AND u.status <> 'deleted'),
           subject = (SELECT outbox.subject FROM users u WHERE u.project_id = outbox.project_id
             AND u.id = outbox.user_id AND u.status <> 'deleted')
         WHERE project_id = $4 AND id = $5 AND lease = $6 AND state = 'waiting'",
        error,
        now,
        oldest,
        project,
        id,
        lease
    )
}

/// Gives the lease back after a failure: the next attempt is at `next`. `attempts` is what counts as made.
pub async fn postpone(
    conn: &Conn,
    project: ProjectId,
    id: OutboxId,
    lease: &str,
    (next, attempts): (Timestamp, i64),
    error: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE outbox SET lease = NULL, next_attempt_at = $1, attempts = $2, last_error = $3
         WHERE project_id = $4 AND id = $5 AND lease = $6 AND state = 'waiting'",
        next,
        attempts,
        error,
        project,
        id,
        lease
    )
}

/// A message as an admin sees it.
#[derive(Clone, Debug, FromRow)]
pub struct Message {
    pub id: OutboxId,
    pub kind: String,
    pub state: String,
    pub client_id: Option<ClientId>,
    pub attempts: i64,
    pub last_error: Option<String>,
    pub next_attempt_at: Timestamp,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// What it would be sent with is still there.
    pub has_content: bool,
}

macro_rules! seen {
    () => {
        "id, kind, state, client_id, attempts, last_error, next_attempt_at, created_at, finished_at, \
         (sealed_body IS NOT NULL OR (kind = 'logout_token' AND user_id IS NOT NULL)) AS has_content"
    };
}

/// The first messages of a project after an id, in the order in which they were written.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    state: &str,
    after: OutboxId,
    limit: i64,
) -> Result<Vec<Message>> {
    fetch_all!(
        conn,
        Message,
        concat!(
            "SELECT ",
            seen!(),
            " FROM outbox WHERE project_id = $1 AND state = $2 AND id > $3 ORDER BY id LIMIT $4"
        ),
        project,
        state,
        after,
        limit
    )
}

pub async fn find(conn: &Conn, project: ProjectId, id: OutboxId) -> Result<Option<Message>> {
    fetch_optional!(
        conn,
        Message,
        concat!("SELECT ", seen!(), " FROM outbox WHERE project_id = $1 AND id = $2"),
        project,
        id
    )
}

/// Lets a dead message begin anew. No row: it is not dead, or nothing is left of it or of the user whom it is about. A letter to
/// nobody with an account begins no new life: its address stays here for as long as it was to stay.
pub async fn revive(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: OutboxId,
) -> Result<Option<Message>> {
    fetch_optional!(
        conn,
        Message,
        concat!(
            "UPDATE outbox SET state = 'waiting', attempts = 0, next_attempt_at = $1, last_error = NULL, finished_at = NULL,
               retried_at = CASE WHEN kind = 'mail' AND user_id IS NULL THEN retried_at ELSE $1 END
             WHERE project_id = $2 AND id = $3 AND state = 'dead' AND (sealed_body IS NOT NULL OR kind = 'logout_token')
               AND (sealed_body IS NOT NULL AND user_id IS NULL OR EXISTS (
                 SELECT 1 FROM users u WHERE u.project_id = outbox.project_id AND u.id = outbox.user_id
                   AND u.status <> 'deleted'))
             RETURNING ",
            seen!()
        ),
        now,
        project,
        id
    )
}
