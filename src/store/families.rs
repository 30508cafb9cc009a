//! Token families: one row each, however often they are refreshed.

use sqlx::{FromRow, PgConnection};

use super::browser_sessions::Replaced;
use super::codes::CodeRow;
use super::db::{Conn, Wire, execute, fetch_one, fetch_optional};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, ProjectId};
use crate::model::timestamp::Timestamp;
use crate::model::token::Family;

/// When a family ends: unused, and at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A family to be.
pub struct NewFamily<'a> {
    pub id: FamilyId,
    /// The code it comes from, with the epochs that travelled with it.
    pub code: &'a CodeRow,
    /// Whether it outlives the browser session.
    pub offline: bool,
    pub first_party: bool,
    /// The `sub` by which the client knows the user; `None`: the user's id.
    pub subject: Option<&'a str>,
    pub mac_key_id: &'a str,
    pub lifetime: Lifetime,
    /// Of the client whose settings gave the lifetime.
    pub client_version: i64,
    /// The key that its refresh tokens are bound to.
    pub cnf_jkt: Option<&'a str>,
}

pub async fn insert(conn: &Conn, project: ProjectId, now: Timestamp, family: &NewFamily<'_>) -> Result<u64> {
    let code = family.code;
    execute!(
        conn,
        "INSERT INTO token_families (project_id, id, client_id, user_id, browser_session_id, client_version, offline,
           scope, audience, nonce, auth_time, amr, acr, user_agent, address, seq, rotated_at, mac_key_id, used_at,
           idle_expires_at, expires_at, project_epoch, client_epoch, user_epoch, created_at, requested_scope,
           for_resources, claims, first_party, subject, cnf_jkt, scopes_as_of)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16, $17, $16, $18, $19, $20, $21,
           $22, $16, $23, $24, $25, $26, $27, $28, $29)",
        project,
        family.id,
        code.client_id,
        code.user_id,
        code.browser_session_id,
        family.client_version,
        family.offline,
        &code.scope,
        &code.audience,
        code.nonce.as_deref(),
        code.auth_time,
        &code.amr,
        &code.acr,
        &code.user_agent,
        &code.address,
        now,
        family.mac_key_id,
        family.lifetime.idle_expires_at,
        family.lifetime.expires_at,
        code.project_epoch,
        code.client_epoch,
        code.user_epoch,
        code.requested_scope.as_deref(),
        code.for_resources,
        code.claims.as_deref(),
        family.first_party,
        family.subject,
        family.cnf_jkt,
        code.scopes_as_of
    )
}

/// How things stand around a family that has just begun.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Surroundings {
    pub client_version: i64,
    /// Whether the code's browser session has not been ended.
    pub session_lives: bool,
    /// Of the user with the client, this one among them.
    pub families: i64,
}

/// `None` when the client is not there.
pub async fn look_around(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    code: &CodeRow,
) -> Result<Option<Surroundings>> {
    fetch_optional!(
        conn,
        Surroundings,
        "SELECT c.version AS client_version,
           $4 IS NULL OR EXISTS (SELECT 1 FROM browser_sessions WHERE project_id = $1 AND id = $4 AND ended_at IS NULL)
             AS session_lives,
           (SELECT count(*) FROM token_families WHERE project_id = $1 AND user_id = $3 AND client_id = $2
              AND revoked_at IS NULL AND expires_at > $5) AS families
         FROM clients c WHERE c.project_id = $1 AND c.id = $2",
        project,
        code.client_id,
        code.user_id,
        code.browser_session_id,
        now
    )
}

/// Keeps at most `most` live families per user and client: the longest unused end.
pub async fn displace(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    code: &CodeRow,
    most: i64,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = 'displaced'
         WHERE project_id = $2 AND id IN (
           SELECT id FROM token_families WHERE project_id = $2 AND user_id = $3 AND client_id = $4
             AND revoked_at IS NULL AND expires_at > $1 ORDER BY used_at DESC, id DESC LIMIT 1000 OFFSET $5)",
        now,
        project,
        code.user_id,
        code.client_id,
        most
    )
}

/// What a refresh gives a family anew, and by which version of the client.
#[derive(Clone, Copy, Debug)]
pub struct Renewal {
    pub lifetime: Lifetime,
    pub client_version: i64,
}

/// A rotation of the token that was the newest when its family was read.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub project: ProjectId,
    pub id: FamilyId,
    pub now: Timestamp,
    pub seq: i64,
    /// The family's version of the client, as it was read.
    pub client_version: i64,
    pub mac_key_id: String,
    pub renewal: Renewal,
}

/// Compare-and-set of a rotation: of many callers with the same token one gets a row, and none whose family was read
/// before its lifetimes were shortened.
pub async fn rotate(conn: &Conn, rotation: &Rotation) -> Result<u64> {
    let renewal = rotation.renewal;
    execute!(
        conn,
        "UPDATE token_families
         SET seq = seq + 1, prev_seq = seq, rotated_at = $1, used_at = $1, mac_key_id = $2, idle_expires_at = $3,
           expires_at = $4, client_version = $5
         WHERE project_id = $6 AND id = $7 AND seq = $8 AND client_version = $9 AND revoked_at IS NULL
           AND expires_at > $1 AND idle_expires_at > $1",
        rotation.now,
        &rotation.mac_key_id,
        renewal.lifetime.idle_expires_at,
        renewal.lifetime.expires_at,
        renewal.client_version,
        rotation.project,
        rotation.id,
        rotation.seq,
        rotation.client_version
    )
}

/// The same for many at once, on PostgreSQL: which of them won. A row that somebody holds is passed over: a statement for many
/// waits for nobody, and so stands in nobody's way.
pub async fn rotate_many(conn: &Conn, rotations: &[Rotation]) -> Result<Vec<bool>> {
    let mut lease = conn.0.lock().await;
    lease.pass().await;
    let numbers = match lease.wire()? {
        Wire::Postgres(conn, persistent) => rotate_on_postgres(conn, persistent, rotations).await,
        Wire::Sqlite(_) => Err(sqlx::Error::Protocol("rotations come one by one on SQLite".into())),
    };
    let mut won = vec![false; rotations.len()];
    for (number,) in lease.settle(numbers)? {
        if let Some(won) = usize::try_from(number - 1).ok().and_then(|place| won.get_mut(place)) {
            *won = true;
        }
    }
    Ok(won)
}

async fn rotate_on_postgres(
    conn: &mut PgConnection,
    persistent: bool,
    rotations: &[Rotation],
) -> Result<Vec<(i64,)>, sqlx::Error> {
    fn column<'r, T>(rotations: &'r [Rotation], of: impl Fn(&'r Rotation) -> T) -> Vec<T> {
        rotations.iter().map(of).collect()
    }
    let sql = "WITH q AS (
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::text[],
               $7::timestamptz[], $8::timestamptz[], $9::bigint[])
             WITH ORDINALITY AS q (project_id, id, now, seq, client_version, mac_key_id, idle_expires_at, expires_at,
               new_version, number)),
         held AS (
           SELECT f.project_id, f.id FROM token_families f
           WHERE (f.project_id, f.id) IN (SELECT q.project_id, q.id FROM q)
           FOR NO KEY UPDATE OF f SKIP LOCKED)
         UPDATE token_families f
         SET seq = f.seq + 1, prev_seq = f.seq, rotated_at = q.now, used_at = q.now, mac_key_id = q.mac_key_id,
           idle_expires_at = q.idle_expires_at, expires_at = q.expires_at, client_version = q.new_version
         FROM q JOIN held ON held.project_id = q.project_id AND held.id = q.id
         WHERE f.project_id = q.project_id AND f.id = q.id AND f.seq = q.seq AND f.client_version = q.client_version
           AND f.revoked_at IS NULL AND f.expires_at > q.now AND f.idle_expires_at > q.now
         RETURNING q.number";
    sqlx::query_as(sql)
        .bind(column(rotations, |rotation| rotation.project.0))
        .bind(column(rotations, |rotation| rotation.id.0))
        .bind(column(rotations, |rotation| rotation.now))
        .bind(column(rotations, |rotation| rotation.seq))
        .bind(column(rotations, |rotation| rotation.client_version))
        .bind(column(rotations, |rotation| rotation.mac_key_id.as_str()))
        .bind(column(rotations, |rotation| rotation.renewal.lifetime.idle_expires_at))
        .bind(column(rotations, |rotation| rotation.renewal.lifetime.expires_at))
        .bind(column(rotations, |rotation| rotation.renewal.client_version))
        .persistent(persistent)
        .fetch_all(conn)
        .await
}

/// `refresh_retry: until_used`: a new successor for the predecessor; the one nobody used becomes void.
pub async fn rotate_again(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    seq: i64,
    mac_key_id: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET seq = seq + 1, rotated_at = $1, used_at = $1, mac_key_id = $2
         WHERE project_id = $3 AND id = $4 AND seq = $5 AND revoked_at IS NULL AND expires_at > $1
           AND idle_expires_at > $1",
        now,
        mac_key_id,
        project,
        id,
        seq
    )
}

/// A refresh without rotation only moves the idle limit. No row: the family ended, or its lifetimes were shortened, since it
/// was read.
pub async fn extend(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    family: &Family,
    renewal: Renewal,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET idle_expires_at = $1, expires_at = $2, client_version = $3, used_at = $4
         WHERE project_id = $5 AND id = $6 AND client_version = $7 AND revoked_at IS NULL AND expires_at > $4
           AND idle_expires_at > $4",
        renewal.lifetime.idle_expires_at,
        renewal.lifetime.expires_at,
        renewal.client_version,
        now,
        project,
        family.id,
        family.client_version
    )
}

/// Keeps a live family from being revoked until the unit ends. No row: it was revoked. An update that changes nothing, because
/// that is what both engines have.
pub async fn hold(conn: &Conn, project: ProjectId, id: FamilyId) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET seq = seq WHERE project_id = $1 AND id = $2 AND revoked_at IS NULL",
        project,
        id
    )
}

pub async fn revoke(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    id: FamilyId,
    reason: &str,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET revoked_at = $1, revoked_reason = $2
         WHERE project_id = $3 AND id = $4 AND revoked_at IS NULL",
        now,
        reason,
        project,
        id
    )
}

#[derive(FromRow)]
struct Count {
    n: i64,
}

/// Families of the client that would last longer from now than a new one. `span`: absolute and idle seconds.
pub async fn count_longer(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    client: ClientId,
    (absolute, idle): (i64, i64),
) -> Result<i64> {
    let count = fetch_one!(
        conn,
        Count,
        "SELECT count(*) AS n FROM token_families
         WHERE project_id = $1 AND client_id = $2 AND revoked_at IS NULL AND expires_at > $3
           AND (expires_at > $4 OR idle_expires_at > $5)",
        project,
        client,
        now,
        now.plus_seconds(absolute),
        now.plus_seconds(idle)
    )?;
    Ok(count.n)
}

/// Caps what lives: no family of the client lasts longer from now than a new one would. It marks every one of them, so that
/// a refresh that was judged by the former lifetimes, and waits for the row, does not write them.
pub async fn shorten(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    (client, version): (ClientId, i64),
    (absolute, idle): (i64, i64),
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET client_version = $1,
           expires_at = CASE WHEN expires_at > $2 THEN $2 ELSE expires_at END,
           idle_expires_at = CASE WHEN idle_expires_at > $3 THEN $3 ELSE idle_expires_at END
         WHERE project_id = $4 AND client_id = $5 AND revoked_at IS NULL AND expires_at > $6",
        version,
        now.plus_seconds(absolute),
        now.plus_seconds(idle),
        project,
        client,
        now
    )
}

/// Lets what a replaced browser session gave to applications follow the next one.
pub async fn move_to_browser_session(
    conn: &Conn,
    project: ProjectId,
    from: Replaced,
    to: BrowserSessionId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE token_families SET browser_session_id = $1
         WHERE project_id = $2 AND user_id = $3 AND browser_session_id = $4",
        to,
        project,
        from.user_id,
        from.id
    )
}
