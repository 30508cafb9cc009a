//! Links that were mailed: each is followed once, while nothing has moved that it rests on.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{DeletionId, MailLinkId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

/// A link as it lies in the store. The epochs are those of the moment in which it was made.
#[derive(Clone, Debug, FromRow)]
pub struct MailLink {
    pub id: MailLinkId,
    pub kind: String,
    /// `None`: of somebody who has no account yet.
    pub user_id: Option<UserId>,
    pub project_epoch: i64,
    pub user_epoch: Option<i64>,
    pub browser_epoch: Option<i64>,
    /// To which the link objects.
    pub deletion_id: Option<DeletionId>,
    /// The keyed hash of the address, of somebody who has no account yet.
    pub address_key: Option<Vec<u8>>,
    pub sealed_content: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

macro_rules! columns {
    () => {
        "l.id, l.kind, l.user_id, l.project_epoch, l.user_epoch, l.browser_epoch, l.deletion_id, l.address_key, l.sealed_content, \
         l.created_at, l.expires_at"
    };
}

pub async fn insert(conn: &Conn, project: ProjectId, link: &MailLink, hash: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO mail_links (project_id, id, kind, token_hash, user_id, project_epoch, user_epoch, browser_epoch,
           deletion_id, address_key, sealed_content, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        project,
        link.id,
        &link.kind,
        hash,
        link.user_id,
        link.project_epoch,
        link.user_epoch,
        link.browser_epoch,
        link.deletion_id,
        link.address_key.as_deref(),
        &link.sealed_content,
        link.created_at,
        link.expires_at
    )
}

/// The link with this hash, if it may still be followed: while the epochs are those that it was made under, or, of one that
/// objects to a deletion, while that waits for its day.
pub async fn find_live(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    kind: &str,
    hash: &[u8],
) -> Result<Option<MailLink>> {
    fetch_optional!(
        conn,
        MailLink,
        concat!(
            "SELECT ",
            columns!(),
            " FROM mail_links l
             JOIN projects p ON p.id = l.project_id
             LEFT JOIN users u ON u.project_id = l.project_id AND u.id = l.user_id
             WHERE l.project_id = $1 AND l.token_hash = $2 AND l.kind = $3
               AND l.expires_at > $4 AND p.status = 'active'
               AND ((l.deletion_id IS NULL AND p.token_epoch = l.project_epoch
                 AND (l.user_id IS NULL OR (u.status = 'active' AND u.token_epoch = l.user_epoch
                   AND u.browser_epoch = l.browser_epoch)))
                 OR EXISTS (SELECT 1 FROM deletions d WHERE d.project_id = l.project_id
                   AND d.id = l.deletion_id AND d.state = 'scheduled'))"
        ),
        project,
        hash,
        kind,
        now
    )
}

/// Takes the link, and with it the address that it holds: of many who follow it at once, one gets the row. The epochs of its user are for the caller to compare,
/// who holds the user's row.
pub async fn consume(conn: &Conn, project: ProjectId, now: Timestamp, id: MailLinkId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM mail_links WHERE project_id = $2 AND id = $3 AND expires_at > $1
           AND project_epoch = (SELECT p.token_epoch FROM projects p WHERE p.id = $2 AND p.status = 'active')",
        now,
        project,
        id
    )
}

/// Takes the link that objects to a deletion: of many who follow it at once, one gets the row. Whether there is still
/// something to object to, the caller has to look at.
pub async fn consume_objection(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: MailLinkId,
) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM mail_links
         WHERE project_id = $1 AND id = $2 AND deletion_id IS NOT NULL AND expires_at > $3",
        project,
        id,
        now
    )
}

/// Takes back what objects to a deletion of the user, with the address that it holds.
pub async fn delete_objections(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM mail_links WHERE project_id = $1 AND user_id = $2 AND deletion_id IS NOT NULL",
        project,
        user
    )
}

/// Links of a kind that nobody has followed yet, by age.
pub async fn list_open(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    kind: &str,
    after: Option<MailLinkId>,
    limit: i64,
) -> Result<Vec<MailLink>> {
    fetch_all!(
        conn,
        MailLink,
        concat!(
            "SELECT ",
            columns!(),
            " FROM mail_links l
             WHERE l.project_id = $1 AND l.kind = $2 AND l.expires_at > $3
               AND ($4 IS NULL OR l.id > $4) ORDER BY l.id LIMIT $5"
        ),
        project,
        kind,
        now,
        after,
        limit
    )
}

/// Links of somebody that may still be followed as far as time goes.
pub async fn list_of_user(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    limit: i64,
) -> Result<Vec<MailLink>> {
    fetch_all!(
        conn,
        MailLink,
        concat!(
            "SELECT ",
            columns!(),
            " FROM mail_links l
             WHERE l.project_id = $1 AND l.user_id = $2 AND l.expires_at > $3 ORDER BY l.id LIMIT $4"
        ),
        project,
        user,
        now,
        limit
    )
}

/// Takes an open link of a kind back.
pub async fn delete_open(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    kind: &str,
    id: MailLinkId,
) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM mail_links
         WHERE project_id = $1 AND id = $2 AND kind = $3 AND expires_at > $4",
        project,
        id,
        kind,
        now
    )
}
