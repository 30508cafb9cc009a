//! Two people: whoever confirms is not whoever asked, and no key of theirs.

use crate::error::Result;
use crate::projects::admin_keys::party;
use crate::store::db::Conn;

/// Why somebody is not the second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// The very key or person.
    Admin,
    /// A key that the other one made, or two keys of one maker.
    Party,
}

impl Same {
    /// In the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "wrong_key",
            Self::Party => "same_party",
        }
    }

    pub const fn refusal(self) -> &'static str {
        match self {
            Self::Admin => "another admin's key has to confirm this deletion",
            Self::Party => {
                "who asked and who confirms are one party: a key stands for whoever made it; somebody else has to confirm \
                 this deletion"
            }
        }
    }
}

/// Whether two admins, as the log names them, are one and the same.
pub async fn compare(conn: &Conn, requester: &str, confirmer: &str) -> Result<Option<Same>> {
    if requester == confirmer {
        return Ok(Some(Same::Admin));
    }
    let is_one = party(conn, requester).await? == party(conn, confirmer).await?;
    Ok(is_one.then_some(Same::Party))
}
