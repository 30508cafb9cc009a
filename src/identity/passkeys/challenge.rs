//! What was asked, kept by whoever was asked: sealed, so that nobody reads or alters it, and used up by the first good answer.
//!
//! Nothing is stored for somebody who may never answer. What a challenge was made for is bound to the seal, so that with
//! anything else it does not open.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{FamilyId, UserId};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, decode_base64url, encode_base64url, sha256};
use crate::store::db::Conn;
use crate::store::used_jtis::{self, Kind};

/// What a good answer does. An answer to a challenge for one purpose does nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs in whoever the passkey is of.
    SignIn,
    /// Goes on with a sign-in that has begun.
    SecondFactor,
    /// Makes a session better.
    StepUp,
    /// Makes a passkey.
    Enrolment,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SecondFactor => "second_factor",
            Self::StepUp => "step_up",
            Self::Enrolment => "enrolment",
        }
    }

    /// A sign-in page may be open as long as its form is good; the others are answered at once.
    const fn seconds(self) -> i64 {
        match self {
            Self::SignIn => 3600,
            Self::SecondFactor | Self::StepUp | Self::Enrolment => 600,
        }
    }
}

/// For what, and of whom.
pub struct Asked {
    pub purpose: Purpose,
    holder: String,
    /// `None`: of anybody, who says who it is by the answer.
    pub user: Option<UserId>,
}

impl Asked {
    /// Of the browser with this cookie.
    pub fn of_browser(purpose: Purpose, cookie: &Secret, user: Option<UserId>) -> Self {
        Self { purpose, holder: format!("browser:{}", encode_base64url(&cookie.sha256())), user }
    }

    /// Of an application, by its session.
    pub fn of_family(purpose: Purpose, family: FamilyId, user: UserId) -> Self {
        Self { purpose, holder: format!("family:{family}"), user: Some(user) }
    }

    /// Where the seal lies: with another purpose, holder or user it does not open.
    fn row(&self) -> String {
        let user = self.user.map_or_else(|| "anybody".to_owned(), |user| user.to_string());
        format!("{} {user}", self.holder)
    }
}

fn place<'a>(ctx: &Ctx, asked: &Asked, row: &'a str) -> Place<'a> {
    Place { table: "passkey_challenge", project: ctx.project.id, row, column: asked.purpose.as_str() }
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    state: T,
    /// The hash of the challenge: what is remembered once it is used up.
    hash: String,
    expires_at: Timestamp,
}

/// A challenge that was made for this.
pub(super) struct Opened<T> {
    pub state: T,
    hash: Vec<u8>,
    expires_at: Timestamp,
}

impl<T> Opened<T> {
    /// Uses the challenge up. `false`: somebody has.
    pub(super) async fn spend(&self, conn: &Conn, ctx: &Ctx) -> Result<bool> {
        let (project, kind) = (ctx.project.id, Kind::PasskeyChallenge);
        Ok(used_jtis::insert(conn, project, kind, &self.hash, self.expires_at).await? == 1)
    }
}

pub(super) fn seal<T: Serialize>(ctx: &Ctx, asked: &Asked, state: T, challenge: &[u8]) -> Result<String> {
    let expires_at = ctx.now.plus_seconds(asked.purpose.seconds());
    let sealed = Sealed { state, hash: encode_base64url(&sha256(challenge)), expires_at };
    let plain = serde_json::to_vec(&sealed).map_err(Error::internal)?;
    let row = asked.row();
    let blob = ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx, asked, &row), &plain)?;
    Ok(encode_base64url(&blob))
}

/// `None` for what was not made for this, and for what is too old.
pub(super) fn open<T: DeserializeOwned>(ctx: &Ctx, asked: &Asked, text: &str) -> Option<Opened<T>> {
    let row = asked.row();
    let plain = ctx.app.master_keys.open(&place(ctx, asked, &row), &decode_base64url(text)?).ok()?;
    let sealed: Sealed<T> = serde_json::from_slice(&plain).ok()?;
    if sealed.expires_at <= ctx.now {
        return None;
    }
    Some(Opened { state: sealed.state, hash: decode_base64url(&sealed.hash)?, expires_at: sealed.expires_at })
}
