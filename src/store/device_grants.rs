//! Devices that wait for somebody to sign in elsewhere: one row from the first request to the family.

use sqlx::FromRow;

use super::browser_sessions::SignIn;
use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{ClientId, DeviceGrantId, FamilyId, ProjectId, UserId};
use crate::model::proven::Acr;
use crate::model::timestamp::Timestamp;

/// A device that begins to wait.
pub struct NewDeviceGrant {
    pub id: DeviceGrantId,
    pub client_id: ClientId,
    pub device_code_hash: Vec<u8>,
    pub user_code_hash: Vec<u8>,
    pub scope: String,
    pub requested_scope: Option<String>,
    /// Words.
    pub audience: String,
    /// Whether they are resource servers that the device asked for.
    pub for_resources: bool,
    pub user_agent: String,
    pub address: String,
    pub poll_seconds: i64,
    pub expires_at: Timestamp,
    pub wishes: Wishes,
}

/// What a device asks of the sign-in that allows it.
#[derive(Clone, Debug, Default, FromRow)]
pub struct Wishes {
    /// Words, in the order of preference.
    pub acr_values: Option<String>,
    /// It lies no further back.
    pub auth_from: Option<Timestamp>,
}

/// No row: one of the codes is taken.
pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, new: &NewDeviceGrant) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO device_grants (project_id, id, client_id, device_code_hash, user_code_hash, state, scope,
           requested_scope, audience, user_agent, address, poll_seconds, next_poll_at, created_at, expires_at,
           for_resources, acr_values, auth_from)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, $10, $11, $12, $12, $13, $14, $15, $16)
         ON CONFLICT DO NOTHING",
        project,
        new.id,
        new.client_id,
        &new.device_code_hash,
        &new.user_code_hash,
        &new.scope,
        new.requested_scope.as_deref(),
        &new.audience,
        &new.user_agent,
        &new.address,
        new.poll_seconds,
        now,
        new.expires_at,
        new.for_resources,
        new.wishes.acr_values.as_deref(),
        new.wishes.auth_from
    )
}

/// A device that nobody has decided about yet.
#[derive(Clone, Debug, FromRow)]
pub struct Waiting {
    pub id: DeviceGrantId,
    pub client_id: ClientId,
    pub scope: String,
    pub audience: String,
    pub for_resources: bool,
    #[sqlx(flatten)]
    pub wishes: Wishes,
}

impl Waiting {
    /// How sure the sign-in should be, if the person gets there.
    pub fn wished_acr(&self) -> Acr {
        let values = self.wishes.acr_values.as_deref().unwrap_or_default().split(' ');
        values.filter_map(Acr::named).next().unwrap_or(Acr::One)
    }

    /// Whether a sign-in is young enough.
    pub fn accepts_age(&self, auth_time: Timestamp) -> bool {
        self.wishes.auth_from.is_none_or(|from| from <= auth_time)
    }

    /// The resource servers that it asks for; none: the client's own audience.
    pub fn resources(&self) -> Vec<String> {
        match self.for_resources {
            true => self.audience.split(' ').map(str::to_owned).collect(),
            false => Vec::new(),
        }
    }
}

pub async fn find_by_user_code(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    hash: &[u8],
) -> Result<Option<Waiting>> {
    fetch_optional!(
        conn,
        Waiting,
        "SELECT id, client_id, scope, audience, for_resources, acr_values, auth_from FROM device_grants
         WHERE project_id = $1 AND user_code_hash = $2 AND state = 'pending' AND expires_at > $3",
        project,
        hash,
        now
    )
}

pub async fn find_waiting(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeviceGrantId,
) -> Result<Option<Waiting>> {
    fetch_optional!(
        conn,
        Waiting,
        "SELECT id, client_id, scope, audience, for_resources, acr_values, auth_from FROM device_grants
         WHERE project_id = $1 AND id = $2 AND state = 'pending' AND expires_at > $3",
        project,
        id,
        now
    )
}

/// What is allowed: a scope, as it was in this version of the project.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    pub scope: &'a str,
    pub scopes_as_of: i64,
}

/// Approves with the epochs that came with the browser session, only while they hold and the session has not ended.
pub async fn approve(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeviceGrantId,
    sign_in: &SignIn,
    client_epoch: i64,
    allowed: Allowed<'_>,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE device_grants SET state = 'approved', user_id = $3, auth_time = $4, amr = $5, acr = $6,
           project_epoch = $7, client_epoch = $8, user_epoch = $9, scope = $13, scopes_as_of = $14
         WHERE project_id = $1 AND id = $2 AND state = 'pending' AND expires_at > $10 AND EXISTS (
           SELECT 1 FROM browser_sessions b
           JOIN users u ON u.project_id = b.project_id AND u.id = b.user_id
           JOIN projects p ON p.id = b.project_id
           JOIN clients c ON c.project_id = b.project_id AND c.id = device_grants.client_id
           WHERE b.project_id = $1 AND b.id = $11 AND b.user_id = $3 AND b.ended_at IS NULL AND b.expires_at > $10
             AND u.status = 'active' AND p.status = 'active' AND c.status = 'active' AND p.token_epoch = $7
             AND c.token_epoch = $8 AND u.token_epoch = $9 AND u.browser_epoch = $12)",
        project,
        id,
        sign_in.user_id,
        sign_in.auth_time,
        &sign_in.amr,
        &sign_in.acr,
        sign_in.project_epoch,
        client_epoch,
        sign_in.user_epoch,
        now,
        sign_in.id,
        sign_in.browser_epoch,
        allowed.scope,
        allowed.scopes_as_of
    )
}

pub async fn deny(conn: &Conn, project: ProjectId, now: Timestamp, id: DeviceGrantId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE device_grants SET state = 'denied'
         WHERE project_id = $1 AND id = $2 AND state = 'pending' AND expires_at > $3",
        project,
        id,
        now
    )
}

/// A device that asks whether it may go on.
#[derive(Clone, Debug, FromRow)]
pub struct Asking {
    pub id: DeviceGrantId,
    pub client_id: ClientId,
    pub state: String,
    pub scope: String,
    pub requested_scope: Option<String>,
    /// Words.
    pub audience: String,
    /// Whether they are resource servers that the device asked for.
    pub for_resources: bool,
    pub user_agent: String,
    pub address: String,
    pub poll_seconds: i64,
    pub expires_at: Timestamp,
    pub user_id: Option<UserId>,
    pub auth_time: Option<Timestamp>,
    pub amr: Option<String>,
    pub acr: Option<String>,
    pub project_epoch: Option<i64>,
    pub client_epoch: Option<i64>,
    pub user_epoch: Option<i64>,
    /// Whether project and client are active, and their epochs those of the approval.
    pub still_holds: bool,
    pub scopes_as_of: i64,
    pub project_version: i64,
    pub client_version: i64,
}

pub async fn find_by_device_code(conn: &Conn, project: ProjectId, hash: &[u8]) -> Result<Option<Asking>> {
    fetch_optional!(
        conn,
        Asking,
        "SELECT d.id, d.client_id, d.state, d.scope, d.requested_scope, d.audience, d.for_resources, d.scopes_as_of,
                d.user_agent, d.address,
                d.poll_seconds, d.expires_at, d.user_id, d.auth_time, d.amr, d.acr, d.project_epoch, d.client_epoch,
                d.user_epoch,
                p.status = 'active' AND c.status = 'active' AND COALESCE(d.project_epoch = p.token_epoch, FALSE)
                  AND COALESCE(d.client_epoch = c.token_epoch, FALSE) AS still_holds,
                p.version AS project_version, c.version AS client_version
         FROM device_grants d
         JOIN projects p ON p.id = d.project_id
         JOIN clients c ON c.project_id = d.project_id AND c.id = d.client_id
         WHERE d.project_id = $1 AND d.device_code_hash = $2",
        project,
        hash
    )
}

/// Notes that the device has asked. No row: it has asked sooner than it may.
pub async fn poll(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeviceGrantId,
    next: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE device_grants SET next_poll_at = $1 WHERE project_id = $2 AND id = $3 AND next_poll_at <= $4",
        next,
        project,
        id,
        now
    )
}

/// Lets a hasty device wait for longer from now on.
pub async fn slow_down(
    conn: &Conn,
    project: ProjectId,
    id: DeviceGrantId,
    poll_seconds: i64,
    next: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE device_grants SET poll_seconds = $1, next_poll_at = $2 WHERE project_id = $3 AND id = $4",
        poll_seconds,
        next,
        project,
        id
    )
}

/// Uses the approval up; of many callers one gets a row.
pub async fn consume(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: DeviceGrantId,
    family: FamilyId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE device_grants SET state = 'consumed', family_id = $1
         WHERE project_id = $2 AND id = $3 AND state = 'approved' AND expires_at > $4",
        family,
        project,
        id,
        now
    )
}
