//! What may be used once: ids of JWTs, challenges of passkeys, seeds of new authenticator apps.

use super::db::{Conn, execute};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::timestamp::Timestamp;

/// In what the id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 7523, 3.
    ClientAssertion,
    /// RFC 9449, 11.1.
    DpopProof,
    /// Web Authentication, 13.4.3.
    PasskeyChallenge,
    /// RFC 6238, 5.2: the code that confirms an app is accepted once, so the app is made once.
    TotpEnrolment,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ClientAssertion => "client_assertion",
            Self::DpopProof => "dpop_proof",
            Self::PasskeyChallenge => "passkey_challenge",
            Self::TotpEnrolment => "totp_enrolment",
        }
    }
}

/// Uses the id up. 0: somebody has used it. `hash` is of whoever used it and the id, as nobody chooses ids for others.
pub async fn insert(
    conn: &Conn,
    project: ProjectId,
    kind: Kind,
    hash: &[u8],
    expires_at: Timestamp,
) -> Result<u64> {
    execute!(
        conn,
        "INSERT INTO used_jtis (project_id, kind, hash, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, kind, hash) DO NOTHING",
        project,
        kind.as_str(),
        hash,
        expires_at
    )
}
