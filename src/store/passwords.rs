//! The password that proves a person.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{CredentialId, ProjectId, UserId};
use crate::model::names::folded;
use crate::model::timestamp::Timestamp;

/// A person's password beside the epochs of the moment: read together, so that a sign-out in between is noticed.
#[derive(Clone, Debug, FromRow)]
pub struct PasswordProof {
    pub user_id: UserId,
    pub status: String,
    pub token_epoch: i64,
    pub browser_epoch: i64,
    pub project_epoch: i64,
    pub secret: String,
    /// Until when the browser and the place that were asked about are known as theirs.
    pub browser_known_until: Option<Timestamp>,
    pub place_known_until: Option<Timestamp>,
}

pub async fn find(
    conn: &Conn,
    project: ProjectId,
    username: &str,
    [browser, place]: [Option<&[u8]>; 2],
) -> Result<Option<PasswordProof>> {
    fetch_optional!(
        conn,
        PasswordProof,
        "SELECT u.id AS user_id, u.status, u.token_epoch, u.browser_epoch, p.token_epoch AS project_epoch, c.secret,
                b.expires_at AS browser_known_until, k.expires_at AS place_known_until
         FROM users u
         JOIN projects p ON p.id = u.project_id
         JOIN credentials c ON c.project_id = u.project_id AND c.user_id = u.id AND c.kind = 'password'
         LEFT JOIN known_places b ON b.project_id = u.project_id AND b.user_id = u.id AND b.place = $3
           AND b.browser_epoch = u.browser_epoch
         LEFT JOIN known_places k ON k.project_id = u.project_id AND k.user_id = u.id AND k.place = $4
           AND k.browser_epoch = u.browser_epoch
         WHERE u.project_id = $1 AND u.username_key = $2",
        project,
        folded(username),
        browser,
        place
    )
}

/// Sets the password, whether there was one or not; `by_mail`: by whoever followed a mailed link.
pub async fn set(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: CredentialId,
    user: UserId,
    (phc, by_mail): (&str, bool),
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO credentials (project_id, id, user_id, kind, secret, by_mail, created_at, updated_at)
         VALUES ($1, $2, $3, 'password', $4, $6, $5, $5)
         ON CONFLICT (project_id, user_id) WHERE kind = 'password'
           DO UPDATE SET secret = $4, by_mail = $6, updated_at = $5",
        project,
        id,
        user,
        phc,
        now,
        by_mail
    )
}

/// Puts another hash of the same password in the place of the one that was proven; one that was changed since stays.
pub async fn renew(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    proven: &str,
    renewed: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE credentials SET secret = $1, updated_at = $2
         WHERE project_id = $3 AND user_id = $4 AND kind = 'password' AND secret = $5",
        renewed,
        now,
        project,
        user,
        proven
    )
}
