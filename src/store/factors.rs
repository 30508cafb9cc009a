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
           email_verified AS address
         FROM users WHERE project_id = $1 AND id = $2",
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
