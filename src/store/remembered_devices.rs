//! Browsers that are not asked again for a second factor.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, RememberedDeviceId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct RememberedDevice {
    pub id: RememberedDeviceId,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Remembers a browser, while the user's epoch is the one of the sign-in.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    (user, browser_epoch): (UserId, i64),
    hash: &[u8],
    device: &RememberedDevice,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO remembered_devices (project_id, id, user_id, token_hash, browser_epoch, user_agent, address,
           created_at, last_used_at, expires_at)
         SELECT project_id, $2, id, $4, browser_epoch, $6, $7, $8, $8, $9 FROM users
         WHERE project_id = $1 AND id = $3 AND browser_epoch = $5",
        project,
        device.id,
        user,
        hash,
        browser_epoch,
        &device.user_agent,
        &device.address,
        device.created_at,
        device.expires_at
    )
}

/// Forgets the device behind a cookie that has another one now.
pub async fn replace(conn: &Conn, project: ProjectId, hash: &[u8]) -> Result<u64> {
    execute!(conn, "DELETE FROM remembered_devices WHERE project_id = $1 AND token_hash = $2", project, hash)
}

/// Forgets some of all browsers of all projects.
pub async fn delete_batch(conn: &Conn) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM remembered_devices WHERE (project_id, id) IN (
           SELECT project_id, id FROM remembered_devices LIMIT 500)"
    )
}

/// Forgets the oldest beyond `most`.
pub async fn trim(conn: &Conn, project: ProjectId, user: UserId, most: i64) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM remembered_devices WHERE project_id = $1 AND user_id = $2 AND id NOT IN (
           SELECT id FROM remembered_devices WHERE project_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3)",
        project,
        user,
        most
    )
}

/// The device behind a cookie, if it is remembered for this user and nothing has ended that.
pub async fn find(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
    hash: &[u8],
) -> Result<Option<RememberedDevice>> {
    fetch_optional!(
        conn,
        RememberedDevice,
        "SELECT d.id, d.user_agent, d.address, d.created_at, d.last_used_at, d.expires_at FROM remembered_devices d
         JOIN users u ON u.project_id = d.project_id AND u.id = d.user_id AND u.browser_epoch = d.browser_epoch
         WHERE d.project_id = $1 AND d.user_id = $2 AND d.token_hash = $3 AND d.expires_at > $4",
        project,
        user,
        hash,
        now
    )
}

/// Those of a user that count, the oldest first.
pub async fn list(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    user: UserId,
) -> Result<Vec<RememberedDevice>> {
    fetch_all!(
        conn,
        RememberedDevice,
        "SELECT d.id, d.user_agent, d.address, d.created_at, d.last_used_at, d.expires_at FROM remembered_devices d
         JOIN users u ON u.project_id = d.project_id AND u.id = d.user_id AND u.browser_epoch = d.browser_epoch
         WHERE d.project_id = $1 AND d.user_id = $2 AND d.expires_at > $3 ORDER BY d.id",
        project,
        user,
        now
    )
}

/// Says when it was used last; once an hour is enough.
pub async fn touch(conn: &Conn, project: ProjectId, now: Timestamp, id: RememberedDeviceId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE remembered_devices SET last_used_at = $1 WHERE project_id = $2 AND id = $3",
        now,
        project,
        id
    )
}

pub async fn delete(conn: &Conn, project: ProjectId, user: UserId, id: RememberedDeviceId) -> Result<u64> {
    execute!(
        conn,
        "DELETE FROM remembered_devices WHERE project_id = $1 AND user_id = $2 AND id = $3",
        project,
        user,
        id
    )
}

pub async fn delete_all(conn: &Conn, project: ProjectId, user: UserId) -> Result<u64> {
    execute!(conn, "DELETE FROM remembered_devices WHERE project_id = $1 AND user_id = $2", project, user)
}
