//! Who acts on their own account: a person in a browser that is signed in, or an application with their token. Both are judged
//! again in the unit of what they do.

use super::verify::{Live, require_still_live};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Error, Result, stale};
use crate::identity::fresh;
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::model::user::UserRow;
use crate::projects::users::no_user;
use crate::store::browser_sessions::{self, SignIn};
use crate::store::db::Conn;
use crate::store::users;

#[derive(Clone, Copy)]
pub enum Holder<'a> {
    Browser(&'a SignIn),
    Application(&'a Live),
}

impl Holder<'_> {
    pub fn user(&self) -> UserId {
        match self {
            Self::Browser(session) => session.user_id,
            Self::Application(live) => live.family.user_id,
        }
    }

    /// As the audit log names who acts.
    pub fn actor(&self, ctx: &Ctx) -> Actor {
        Actor::user(ctx, self.user())
    }

    /// When they proved who they are.
    fn auth_time(&self) -> Timestamp {
        match self {
            Self::Browser(session) => session.auth_time,
            Self::Application(live) => live.family.auth_time,
        }
    }

    /// By what they proved it.
    fn amr(&self) -> &str {
        match self {
            Self::Browser(session) => &session.amr,
            Self::Application(live) => &live.family.amr,
        }
    }

    /// Whether they have proved it just now, and as well as they can.
    pub async fn is_fresh(&self, ctx: &Ctx) -> Result<bool> {
        fresh::is_fresh(ctx, self.user(), (self.auth_time(), self.amr())).await
    }

    /// Holds the user's row until the unit ends, in the version that the caller has seen, and judges the holder once more:
    /// what ended the session since it was read is seen here.
    ///
    /// # Errors
    /// `invalid_token` with the reason, `login_required` for a browser; 412 for another version.
    pub async fn hold(&self, ctx: &Ctx, conn: &Conn, seen: Option<i64>) -> Result<UserRow> {
        let row = users::lock(conn, ctx.project.id, self.user()).await?;
        self.require_still_live(ctx, conn).await?;
        let row = row.ok_or_else(no_user)?;
        if seen.is_some_and(|seen| seen != row.version) { Err(stale(true)) } else { Ok(row) }
    }

    /// The same, where the row is held already.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub async fn require_still_live(&self, ctx: &Ctx, conn: &Conn) -> Result<()> {
        match self {
            Self::Application(live) => require_still_live(ctx, conn, live).await,
            Self::Browser(session) => {
                let lives = browser_sessions::is_live(conn, ctx.project.id, ctx.now, session.id).await?;
                if lives { Ok(()) } else { Err(signed_out()) }
            }
        }
    }
}

/// Nobody is signed in here any more.
pub fn signed_out() -> Error {
    Error::new(Code::LoginRequired, "the person has to sign in")
}
