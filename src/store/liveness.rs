//! The hot read: one statement tells whether a token lives, and whether what is remembered of its project and of the
//! caller is still true.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::admin_keys::AdminKey;
use super::db::{Conn, fetch_optional};
use crate::error::Result;
use crate::ids::{AdminKeyId, ClientId, FamilyId, ProjectId, UserId};
use crate::model::token::Family;

/// What is asked about: whatever the token and the caller name.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub family: Option<FamilyId>,
    /// The subject of the token: a deleted user's families are gone, the tombstone is not.
    pub user: Option<UserId>,
    pub jti: Option<String>,
    /// The calling client.
    pub caller: Option<ClientId>,
    /// SHA-256 of the calling admin key.
    pub admin_key: Option<Vec<u8>>,
}

/// How things stand now.
#[derive(Clone, Debug)]
pub struct Standing {
    pub project_version: i64,
    pub project_status: String,
    /// `None` for a client that is not there.
    pub caller_version: Option<i64>,
    /// A live admin key of this project or of all.
    pub admin: Option<AdminKey>,
    pub user_status: Option<String>,
    pub token_revoked: bool,
    pub family: Option<Family>,
}

macro_rules! from_rows {
    ($($row:ty),*) => {$(
        impl<'r> FromRow<'r, $row> for Standing {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                let family = match row.try_get::<Option<FamilyId>, _>("id")? {
                    Some(_) => Some(Family::from_row(row)?),
                    None => None,
                };
                let admin = match row.try_get::<Option<AdminKeyId>, _>("admin_key_id")? {
                    Some(id) => Some(AdminKey {
                        id,
                        project_id: row.try_get("admin_key_project_id")?,
                        name: row.try_get("admin_key_name")?,
                        role: row.try_get("admin_key_role")?,
                    }),
                    None => None,
                };
                Ok(Self {
                    project_version: row.try_get("project_version")?,
                    project_status: row.try_get("project_status")?,
                    caller_version: row.try_get("caller_version")?,
                    admin,
                    user_status: row.try_get("user_status")?,
                    token_revoked: row.try_get::<Option<String>, _>("revoked_jti")?.is_some(),
                    family,
                })
            }
        }
    )*};
}

from_rows!(PgRow, SqliteRow);

/// `None` when the project is not there.
pub async fn read(conn: &Conn, project: ProjectId, question: &Question) -> Result<Option<Standing>> {
    fetch_optional!(
        conn,
        Standing,
        "SELECT p.version AS project_version, p.status AS project_status, p.token_epoch AS project_token_epoch,
                k.version AS caller_version,
                a.id AS admin_key_id, a.project_id AS admin_key_project_id, a.name AS admin_key_name,
                a.role AS admin_key_role, r.jti AS revoked_jti,
                f.id, f.client_id, f.user_id, f.browser_session_id, f.scope, f.audience, f.auth_time, f.amr, f.acr,
                f.cnf_jkt, f.seq, f.prev_seq, f.rotated_at, f.mac_key_id, f.idle_expires_at, f.expires_at, f.revoked_at,
                f.project_epoch, f.client_epoch, f.user_epoch,
                c.status AS client_status, c.token_epoch AS client_token_epoch,
                u.status AS user_status, u.token_epoch AS user_token_epoch, u.version AS user_version,
                u.username, u.email, u.email_verified, u.profile, u.roles, u.groups, u.attributes,
                u.updated_at AS user_updated_at
         FROM projects p
         LEFT JOIN token_families f ON f.project_id = p.id AND f.id = $2
         LEFT JOIN clients c ON c.project_id = f.project_id AND c.id = f.client_id
         LEFT JOIN users u ON u.project_id = p.id AND u.id = COALESCE(f.user_id, $3)
         LEFT JOIN revoked_tokens r ON r.project_id = p.id AND r.jti = $4
         LEFT JOIN clients k ON k.project_id = p.id AND k.id = $5
         LEFT JOIN admin_keys a ON a.hash = $6 AND a.revoked_at IS NULL
              AND (a.project_id IS NULL OR a.project_id = p.id)
         WHERE p.id = $1",
        project,
        question.family,
        question.user,
        question.jti.as_deref(),
        question.caller,
        question.admin_key.as_deref()
    )
}
