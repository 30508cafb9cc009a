//! Authorization codes: one use, sixty seconds.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::browser_sessions::Replaced;
use super::db::{Conn, execute, fetch_optional};
use crate::error::Result;
use crate::ids::{BrowserSessionId, ClientId, FamilyId, ProjectId, UserId};
use crate::model::timestamp::Timestamp;

#[derive(Clone, Debug, FromRow)]
pub struct CodeRow {
    pub client_id: ClientId,
    pub user_id: UserId,
    pub browser_session_id: Option<BrowserSessionId>,
    pub redirect_uri: String,
    pub code_challenge: Option<String>,
    /// The thumbprint of the key that has to prove itself at the exchange.
    pub dpop_jkt: Option<String>,
    pub scope: String,
    /// The project's version when the person's permission for it was judged.
    pub scopes_as_of: i64,
    /// What was asked for, where it is not the scope.
    pub requested_scope: Option<String>,
    pub nonce: Option<String>,
    /// Words, each a resource server or the client's own.
    pub audience: String,
    /// Whether they are resource servers that the client asked for.
    pub for_resources: bool,
    /// What was asked for beyond the scope: a JSON document.
    pub claims: Option<String>,
    pub auth_time: Timestamp,
    pub amr: String,
    pub acr: String,
    pub user_agent: String,
    pub address: String,
    pub project_epoch: i64,
    pub client_epoch: i64,
    pub user_epoch: i64,
    pub expires_at: Timestamp,
    pub consumed_at: Option<Timestamp>,
    pub family_id: Option<FamilyId>,
}

/// A code beside how its project and the calling client stand now: the first read of an exchange.
#[derive(Clone, Debug)]
pub struct Presented {
    pub project_version: i64,
    pub project_status: String,
    pub project_epoch: i64,
    pub client_version: i64,
    pub client_epoch: i64,
    pub code: Option<CodeRow>,
    /// Whether the browser session that gave the code has not been ended. One that has expired has not.
    pub session_lives: bool,
    /// When that browser session ends by itself.
    pub session_expires_at: Option<Timestamp>,
}

macro_rules! from_rows {
    ($($row:ty),*) => {$(
        impl<'r> FromRow<'r, $row> for Presented {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                let code = match row.try_get::<Option<UserId>, _>("user_id")? {
                    Some(_) => Some(CodeRow::from_row(row)?),
                    None => None,
                };
                Ok(Self {
                    project_version: row.try_get("project_version")?,
                    project_status: row.try_get("project_status")?,
                    project_epoch: row.try_get("project_token_epoch")?,
                    client_version: row.try_get("client_version")?,
                    client_epoch: row.try_get("client_token_epoch")?,
                    code,
                    session_lives: row.try_get("session_lives")?,
                    session_expires_at: row.try_get("session_expires_at")?,
                })
            }
        }
    )*};
}

from_rows!(PgRow, SqliteRow);

/// `None` when the project or the client is not there.
pub async fn present(
    conn: &Conn,
    project: ProjectId,
    client: ClientId,
    hash: &[u8],
) -> Result<Option<Presented>> {
    fetch_optional!(
        conn,
        Presented,
        "SELECT p.version AS project_version, p.status AS project_status, p.token_epoch AS project_token_epoch,
                k.version AS client_version, k.token_epoch AS client_token_epoch,
                a.client_id, a.user_id, a.browser_session_id, a.redirect_uri, a.code_challenge, a.dpop_jkt, a.scope,
                a.requested_scope, a.nonce,
                a.audience, a.for_resources, a.claims, a.auth_time, a.amr, a.acr, a.user_agent, a.address, a.project_epoch, a.client_epoch,
                a.user_epoch, a.expires_at, a.consumed_at, a.family_id, a.scopes_as_of,
                a.browser_session_id IS NULL OR (b.id IS NOT NULL AND b.ended_at IS NULL) AS session_lives,
                b.expires_at AS session_expires_at
         FROM projects p
         JOIN clients k ON k.project_id = p.id AND k.id = $2
         LEFT JOIN authorization_codes a ON a.project_id = p.id AND a.code_hash = $3
         LEFT JOIN browser_sessions b ON b.project_id = p.id AND b.id = a.browser_session_id
         WHERE p.id = $1",
        project,
        client,
        hash
    )
}

/// A code alone, for whoever only looks.
pub async fn find(conn: &Conn, project: ProjectId, hash: &[u8]) -> Result<Option<CodeRow>> {
    fetch_optional!(
        conn,
        CodeRow,
        "SELECT client_id, user_id, browser_session_id, redirect_uri, code_challenge, dpop_jkt, scope, requested_scope,
                nonce, audience, for_resources, claims, auth_time, amr, acr, user_agent, address, project_epoch, client_epoch, user_epoch, expires_at, consumed_at, family_id,
                scopes_as_of
         FROM authorization_codes WHERE project_id = $1 AND code_hash = $2",
        project,
        hash
    )
}

/// Inserts the code only while user, client and project are active and the epochs read with the proof still hold.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    hash: &[u8],
    code: &CodeRow,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO authorization_codes (project_id, code_hash, client_id, user_id, browser_session_id, redirect_uri,
           code_challenge, scope, nonce, audience, auth_time, amr, acr, user_agent, address, project_epoch,
           client_epoch, user_epoch, created_at, expires_at, requested_scope, for_resources, claims, dpop_jkt,
           scopes_as_of)
         SELECT u.project_id, $2, c.id, u.id, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
           $22, $23, $24, $25
         FROM users u
         JOIN projects p ON p.id = u.project_id
         JOIN clients c ON c.project_id = u.project_id AND c.id = $3
         WHERE u.project_id = $1 AND u.id = $4 AND u.status = 'active' AND p.status = 'active' AND c.status = 'active'
           AND p.token_epoch = $16 AND c.token_epoch = $17 AND u.token_epoch = $18",
        project,
        hash,
        code.client_id,
        code.user_id,
        code.browser_session_id,
        &code.redirect_uri,
        code.code_challenge.as_deref(),
        &code.scope,
        code.nonce.as_deref(),
        &code.audience,
        code.auth_time,
        &code.amr,
        &code.acr,
        &code.user_agent,
        &code.address,
        code.project_epoch,
        code.client_epoch,
        code.user_epoch,
        now,
        code.expires_at,
        code.requested_scope.as_deref(),
        code.for_resources,
        code.claims.as_deref(),
        code.dpop_jkt.as_deref(),
        code.scopes_as_of
    )
}

#[derive(FromRow)]
struct Consumed {
    browser_session_id: Option<BrowserSessionId>,
}

/// Uses the code up, remembers the family it became, and gives the browser session that it belongs to by now; of many
/// callers one gets a row, and none once that browser session has been ended. A session that is not there has been ended:
/// one that only expired is kept for longer than its last code.
pub async fn consume(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    hash: &[u8],
    family: FamilyId,
) -> Result<Option<Option<BrowserSessionId>>> {
    let consumed = fetch_optional!(
        conn,
        Consumed,
        "UPDATE authorization_codes SET consumed_at = $1, family_id = $2
         WHERE project_id = $3 AND code_hash = $4 AND consumed_at IS NULL AND expires_at > $1
           AND (browser_session_id IS NULL OR EXISTS (SELECT 1 FROM browser_sessions b WHERE b.project_id = $3
             AND b.id = authorization_codes.browser_session_id AND b.ended_at IS NULL))
         RETURNING browser_session_id",
        now,
        family,
        project,
        hash
    )?;
    Ok(consumed.map(|consumed| consumed.browser_session_id))
}

/// Lets the codes of a replaced browser session follow the next one. Waits for those that are being exchanged, so that
/// their families are there for whoever moves or ends them next.
pub async fn move_to_browser_session(
    conn: &Conn,
    project: ProjectId,
    from: Replaced,
    to: BrowserSessionId,
) -> Result<u64> {
    execute!(
        conn,
        "UPDATE authorization_codes SET browser_session_id = $1
         WHERE project_id = $2 AND user_id = $3 AND browser_session_id = $4",
        to,
        project,
        from.user_id,
        from.id
    )
}
