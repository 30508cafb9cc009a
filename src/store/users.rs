//! People.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::model::names::folded;
use crate::model::timestamp::Timestamp;
use crate::model::user::UserRow;

macro_rules! columns {
    () => {
        "id, status, username, email, email_verified, profile, token_epoch, browser_epoch, version, roles, groups, \
         attributes, last_sign_in_at, created_at, updated_at"
    };
}
pub(super) use columns;

/// A tombstone is not found.
pub async fn find(conn: &Conn, project: ProjectId, id: UserId) -> Result<Option<UserRow>> {
    fetch_optional!(
        conn,
        UserRow,
        concat!(
            "SELECT ",
            columns!(),
            " FROM users WHERE project_id = $1 AND id = $2 AND status <> 'deleted'"
        ),
        project,
        id
    )
}

pub async fn find_by_username(conn: &Conn, project: ProjectId, username: &str) -> Result<Option<UserRow>> {
    fetch_optional!(
        conn,
        UserRow,
        concat!("SELECT ", columns!(), " FROM users WHERE project_id = $1 AND username_key = $2"),
        project,
        folded(username)
    )
}

/// Everybody who has this user name or mail address, as folded texts: several may share an address.
pub async fn list_known_as(conn: &Conn, project: ProjectId, key: &str, most: i64) -> Result<Vec<UserRow>> {
    fetch_all!(
        conn,
        UserRow,
        concat!(
            "SELECT ",
            columns!(),
            " FROM users WHERE project_id = $1 AND id IN (
                SELECT id FROM users WHERE project_id = $1 AND username_key = $2
                UNION
                SELECT id FROM users WHERE project_id = $1 AND email_key = $2)
               AND status <> 'deleted' ORDER BY id LIMIT $3"
        ),
        project,
        key,
        most
    )
}

/// Reads the row and keeps it from changing until the unit ends: the first step of whatever decides by what it reads.
/// An update that changes nothing, because that is what both engines have.
pub async fn lock(conn: &Conn, project: ProjectId, id: UserId) -> Result<Option<UserRow>> {
    fetch_optional!(
        conn,
        UserRow,
        concat!(
            "UPDATE users SET updated_at = updated_at
             WHERE project_id = $1 AND id = $2 AND status <> 'deleted' RETURNING ",
            columns!()
        ),
        project,
        id
    )
}

/// What an admin writes of a person.
pub struct Record<'a> {
    pub status: &'a str,
    pub username: &'a str,
    pub email: Option<&'a str>,
    pub email_verified: bool,
    /// A JSON document.
    pub profile: &'a str,
}

/// A user name that another user has violates the index.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
    user: &Record<'_>,
) -> Result<UserRow> {
    fetch_one!(
        conn,
        UserRow,
        concat!(
            "INSERT INTO users (project_id, id, status, username, username_key, email, email_key, email_verified,
               profile, token_epoch, browser_epoch, version, roles, groups, attributes, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1, '[]', '[]', '{}', $11, $11) RETURNING ",
            columns!()
        ),
        project,
        id,
        user.status,
        user.username,
        folded(user.username),
        user.email,
        user.email.map(folded),
        user.email_verified,
        user.profile,
        now.micros(),
        now
    )
}

/// Writes the record of a locked row.
pub async fn update(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
    user: &Record<'_>,
) -> Result<UserRow> {
    fetch_one!(
        conn,
        UserRow,
        concat!(
            "UPDATE users SET status = $1, username = $2, username_key = $3, email = $4, email_key = $5,
               email_verified = $6, profile = $7, version = version + 1, updated_at = $8
             WHERE project_id = $9 AND id = $10 AND status <> 'deleted' RETURNING ",
            columns!()
        ),
        user.status,
        user.username,
        folded(user.username),
        user.email,
        user.email.map(folded),
        user.email_verified,
        user.profile,
        now,
        project,
        id
    )
}

/// What a user holds, resolved: JSON texts.
pub struct Holdings {
    pub roles: String,
    pub groups: String,
    pub attributes: String,
}

/// Writes what the user of a locked row holds.
pub async fn set_holdings(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
    holdings: &Holdings,
) -> Result<UserRow> {
    fetch_one!(
        conn,
        UserRow,
        concat!(
            "UPDATE users SET roles = $1, groups = $2, attributes = $3, version = version + 1, updated_at = $4
             WHERE project_id = $5 AND id = $6 AND status <> 'deleted' RETURNING ",
            columns!()
        ),
        &holdings.roles,
        &holdings.groups,
        &holdings.attributes,
        now,
        project,
        id
    )
}

/// What the tokens of a sign-in say about its user.
#[derive(Clone, Debug, FromRow)]
pub struct SignedIn {
    pub version: i64,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub profile: String,
    pub roles: String,
    pub groups: String,
    pub attributes: String,
    pub updated_at: Timestamp,
}

/// First step of every exchange: orders it against sign-out, disable and deletion, which raise the epoch on this row.
/// No row: the sign-in that led here has ended.
pub async fn touch_sign_in(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
    token_epoch: i64,
) -> Result<Option<SignedIn>> {
    fetch_optional!(
        conn,
        SignedIn,
        "UPDATE users SET last_sign_in_at = $1
         WHERE project_id = $2 AND id = $3 AND status = 'active' AND token_epoch = $4
         RETURNING version, username, email, email_verified, profile, roles, groups, attributes, updated_at",
        now,
        project,
        id,
        token_epoch
    )
}

/// Raises the user's epochs: everything granted before ends. Gives the new token epoch and whether the row was there.
pub async fn raise_epochs(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
    browser_too: bool,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE users SET
           token_epoch = CASE WHEN token_epoch >= $1 THEN token_epoch + 1 ELSE $1 END,
           browser_epoch = CASE WHEN NOT $2 THEN browser_epoch
                                WHEN browser_epoch >= $1 THEN browser_epoch + 1 ELSE $1 END
         WHERE project_id = $3 AND id = $4 AND status <> 'deleted'",
        now.micros(),
        browser_too,
        project,
        id
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Families that the user's epoch still lets live.
pub async fn count_live_families(conn: &Conn, project: ProjectId, now: Timestamp, id: UserId) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM token_families f
         JOIN projects p ON p.id = f.project_id
         JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         JOIN users u ON u.project_id = f.project_id AND u.id = f.user_id
         WHERE f.project_id = $1 AND f.user_id = $2 AND f.revoked_at IS NULL AND f.expires_at > $3
           AND f.idle_expires_at > $3 AND f.project_epoch = p.token_epoch AND f.client_epoch = c.token_epoch
           AND f.user_epoch = u.token_epoch",
        project,
        id,
        now
    )?;
    Ok(count.n)
}

/// Browser sessions that the user's browser epoch still lets live.
pub async fn count_live_browser_sessions(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: UserId,
) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM browser_sessions b
         JOIN projects p ON p.id = b.project_id
         JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
         WHERE b.project_id = $1 AND b.user_id = $2 AND b.browser_epoch = u.browser_epoch AND b.ended_at IS NULL
           AND b.expires_at > $3 AND b.project_epoch = p.token_epoch",
        project,
        id,
        now
    )?;
    Ok(count.n)
}
