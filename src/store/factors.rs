//! What a user has beside a password, in one look.

use sqlx::FromRow;

use super::db::{Conn, fetch_optional};
use crate::error::Result;
use crate::ids::{ProjectId, UserId};

/// How many of each kind.
#[derive(Clone, Copy, Debug, Default, FromRow)]
pub struct Held {
    pub totp: i64,
    pub passkeys: i64,
    pub recovery_codes: i64,
    /// Whether there is a verified mail address.
    pub address: bool,
    /// Whether the password was set by a mailed link.
    pub mailed_password: bool,
}

pub async fn held(conn: &Conn, project: ProjectId, user: UserId) -> Result<Option<Held>> {
    fetch_optional!(
        conn,
        Held,
        "SELECT
           (SELECT count(*) FROM totp_factors WHERE project_id = $1 AND user_id = $2) AS totp,
           (SELECT count(*) FROM passkeys WHERE project_id = $1 AND user_id = $2) AS passkeys,
           (SELECT count(*) FROM recovery_codes WHERE project_id = $1 AND user_id = $2 AND used_at IS NULL)
             AS recovery_codes,
           u.email_verified AS address, COALESCE(c.by_mail, FALSE) AS mailed_password
         FROM users u
         LEFT JOIN credentials c ON c.project_id = u.project_id AND c.user_id = u.id AND c.kind = 'password'
         WHERE u.project_id = $1 AND u.id = $2",
        project,
        user
    )
}

impl Held {
    /// Whether the person has made no second factor. An address is none that they made.
    pub const fn is_bare(&self) -> bool {
        self.totp == 0 && self.passkeys == 0
    }
}
