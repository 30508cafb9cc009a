//! The project's signing keys, sealed. Every change comes after [`super::projects::raise_version`] in the same unit, which
//! orders changes of one project and makes every node forget the keys it remembers.

use sqlx::FromRow;

use super::db::{Conn, execute, fetch_all, fetch_optional};
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::signing_key::{Alg, KeyState, SigningKey};
use crate::model::timestamp::Timestamp;

#[derive(FromRow)]
struct SigningKeyRow {
    kid: String,
    alg: String,
    state: String,
    public_jwk: String,
    sealed_private: Vec<u8>,
    created_at: Timestamp,
    signs_from: Timestamp,
    expires_at: Option<Timestamp>,
}

impl TryFrom<SigningKeyRow> for SigningKey {
    type Error = Error;
    fn try_from(row: SigningKeyRow) -> Result<Self> {
        let unknown = || Error::internal("a signing key in the store has an unknown form");
        let state = match (row.state.as_str(), row.expires_at) {
            ("next", _) => KeyState::Next { signs_from: row.signs_from },
            ("current", _) => KeyState::Current { since: row.signs_from },
            ("retired", Some(until)) => KeyState::Retired { until },
            _ => return Err(unknown()),
        };
        Ok(Self {
            kid: row.kid,
            alg: Alg::named(&row.alg).ok_or_else(unknown)?,
            state,
            public_jwk: row.public_jwk,
            sealed_private: row.sealed_private,
            created_at: row.created_at,
        })
    }
}

/// Every published key: next, current and retired. Their number is bounded when a key is prepared.
pub async fn list(conn: &Conn, project: ProjectId) -> Result<Vec<SigningKey>> {
    let rows = fetch_all!(
        conn,
        SigningKeyRow,
        "SELECT kid, alg, state, public_jwk, sealed_private, created_at, signs_from, expires_at FROM signing_keys
         WHERE project_id = $1 ORDER BY created_at LIMIT 64",
        project
    )?;
    rows.into_iter().map(SigningKey::try_from).collect()
}

/// Adds a next or current key; a race to make one has one winner, the loser changes nothing.
pub async fn insert(conn: &Conn, project: ProjectId, key: &SigningKey) -> Result<u64> {
    let signs_from = match key.state {
        KeyState::Next { signs_from } => signs_from,
        KeyState::Current { since } => since,
        KeyState::Retired { .. } => return Err(Error::internal("a key is not made retired")),
    };
    let inserted = execute!(
        conn,
        "INSERT INTO signing_keys (project_id, kid, alg, state, public_jwk, sealed_private, created_at, signs_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        project,
        &key.kid,
        key.alg.as_str(),
        key.state.as_str(),
        &key.public_jwk,
        &key.sealed_private,
        key.created_at,
        signs_from
    )?;
    if inserted > 0 && key.alg == Alg::ES256 {
        execute!(
            conn,
            "INSERT INTO audit_signers (project_id, kid) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            project,
            &key.kid
        )?;
    }
    Ok(inserted)
}

/// The `kid`s of all keys that ever could sign for the project's audit log: as many as there were rotations.
pub async fn list_audit_signers(conn: &Conn, project: ProjectId) -> Result<Vec<String>> {
    let rows = fetch_all!(
        conn,
        Kid,
        "SELECT kid FROM audit_signers WHERE project_id = $1 ORDER BY kid LIMIT 10000",
        project
    )?;
    Ok(rows.into_iter().map(|row| row.kid).collect())
}

#[derive(FromRow)]
struct Kid {
    kid: String,
}

/// Ends the signing of the current key, if a next one is ready to take over. Of many callers one gets its `kid`.
pub async fn retire_current(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    alg: Alg,
    until: Timestamp,
) -> Result<Option<String>> {
    let row = fetch_optional!(
        conn,
        Kid,
        "UPDATE signing_keys SET state = 'retired', retired_at = $1, expires_at = $2
         WHERE project_id = $3 AND alg = $4 AND state = 'current' AND EXISTS (
           SELECT 1 FROM signing_keys n
           WHERE n.project_id = $3 AND n.alg = $4 AND n.state = 'next' AND n.signs_from <= $1)
         RETURNING kid",
        now,
        until,
        project,
        alg.as_str()
    )?;
    Ok(row.map(|row| row.kid))
}

/// Makes the next key the one that signs, and gives its `kid`.
pub async fn promote(conn: &Conn, project: ProjectId, now: Timestamp, alg: Alg) -> Result<Option<String>> {
    let row = fetch_optional!(
        conn,
        Kid,
        "UPDATE signing_keys SET state = 'current', signs_from = $1
         WHERE project_id = $2 AND alg = $3 AND state = 'next' RETURNING kid",
        now,
        project,
        alg.as_str()
    )?;
    Ok(row.map(|row| row.kid))
}

/// Removes one key and says how it stood.
pub async fn delete(conn: &Conn, project: ProjectId, kid: &str) -> Result<Option<SigningKey>> {
    let row = fetch_optional!(
        conn,
        SigningKeyRow,
        "DELETE FROM signing_keys WHERE project_id = $1 AND kid = $2
         RETURNING kid, alg, state, public_jwk, sealed_private, created_at, signs_from, expires_at",
        project,
        kid
    )?;
    row.map(SigningKey::try_from).transpose()
}

/// Removes the retired keys whose last token has expired, and gives them back.
pub async fn delete_expired(conn: &Conn, project: ProjectId, now: Timestamp) -> Result<Vec<SigningKey>> {
    let rows = fetch_all!(
        conn,
        SigningKeyRow,
        "DELETE FROM signing_keys WHERE project_id = $1 AND state = 'retired' AND expires_at <= $2
         RETURNING kid, alg, state, public_jwk, sealed_private, created_at, signs_from, expires_at",
        project,
        now
    )?;
    rows.into_iter().map(SigningKey::try_from).collect()
}

#[derive(FromRow)]
struct Owner {
    project_id: ProjectId,
}

/// A page of projects, after `after`, with a key for which something may be due: one that signs since `aged` or
/// longer, one that may sign, one that may go.
pub async fn due_projects(
    conn: &Conn,
    now: Timestamp,
    aged: Timestamp,
    after: ProjectId,
    limit: i64,
) -> Result<Vec<ProjectId>> {
    let rows = fetch_all!(
        conn,
        Owner,
        "SELECT DISTINCT k.project_id FROM signing_keys k JOIN projects p ON p.id = k.project_id
         WHERE k.project_id > $1 AND p.status <> 'deleted' AND (
           (k.state = 'current' AND k.signs_from <= $2) OR (k.state = 'next' AND k.signs_from <= $3)
           OR (k.state = 'retired' AND k.expires_at <= $3))
         ORDER BY k.project_id LIMIT $4",
        after,
        aged,
        now,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.project_id).collect())
}

/// A page of the projects that have keys, after `after`.
pub async fn owners(conn: &Conn, after: ProjectId, limit: i64) -> Result<Vec<ProjectId>> {
    let rows = fetch_all!(
        conn,
        Owner,
        "SELECT DISTINCT project_id FROM signing_keys WHERE project_id > $1 ORDER BY project_id LIMIT $2",
        after,
        limit
    )?;
    Ok(rows.into_iter().map(|row| row.project_id).collect())
}

/// Replaces the sealed half, if it is still the one that was read. The key stays the same, so nobody has to forget it.
pub async fn reseal(conn: &Conn, project: ProjectId, kid: &str, old: &[u8], new: &[u8]) -> Result<u64> {
    execute!(
        conn,
        "UPDATE signing_keys SET sealed_private = $1
         WHERE project_id = $2 AND kid = $3 AND sealed_private = $4",
        new,
        project,
        kid,
        old
    )
}
