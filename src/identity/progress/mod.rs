//! A sign-in of which something is proven, and more is needed. From the first proof on its state is in the store, under a
//! cookie that is another one after each proof; what a form says of it counts for nothing.
//!
//! ```text
//! password ──> needed::needed ─┬─> nothing: sign_in::begin
//!                              └─> begin ──> second factor ──> attempt ─┬─> right: sign_in::begin, or advance
//!                                              ^                        ├─> wrong, and counted
//!                                              └────────────────────────┴─> over, after five
//! ```

mod attempt;

use uuid::Uuid;
use zeroize::Zeroizing;

pub(super) use self::attempt::forgive;
pub use self::attempt::{Accepted, Attempt, Shown, attempt};
use super::passkeys::{self, Asked};
use super::sign_in;
use super::spend::Spend;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{ProjectId, UserId};
use crate::keys::data_key::DataKey;
use crate::keys::master::Place;
use crate::model::proven::Proven;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::db::Conn;
use crate::store::sign_ins_in_progress::{self as stored, Row};

/// How long somebody may take between two proofs.
const LIVES_SECONDS: i64 = 600;
/// Sign-ins of one user that wait; the oldest goes.
const MOST_WAITING: i64 = 50;

/// Whether somebody signs in, or a browser that is signed in proves more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    StepUp,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::StepUp => "step_up",
        }
    }
}

/// What is in progress behind a cookie.
pub struct Progress {
    pub(super) row: Row,
    cookie: Secret,
    /// What the sign-in is for, as [`begin`] was given it.
    pub aim: Zeroizing<String>,
}

/// Keeps what is proven by now under `cookie`. `replaces`: the hash of the cookie whose browser session the new one takes
/// the place of.
pub async fn begin(
    ctx: &Ctx,
    cookie: &Secret,
    sign_in: &SignIn,
    purpose: Purpose,
    aim: &str,
    replaces: Vec<u8>,
) -> Result<()> {
    let id = ctx.app.entropy.id(ctx.now)?;
    let row = &Row {
        id,
        token_hash: cookie.sha256(),
        user_id: sign_in.user_id,
        project_epoch: sign_in.project_epoch,
        user_epoch: sign_in.user_epoch,
        browser_epoch: sign_in.browser_epoch,
        amr: sign_in.amr.clone(),
        acr: sign_in.acr.clone(),
        codes: sign_in.codes.clone(),
        auth_time: sign_in.auth_time,
        purpose: purpose.as_str().to_owned(),
        replaces,
        sealed_aim: seal(ctx, cookie, (id, "sealed_aim"), aim.as_bytes())?,
        sealed_challenge: None,
        failures: 0,
        user_agent: sign_in.user_agent.clone(),
        address: sign_in.address.clone(),
        created_at: ctx.now,
        expires_at: ctx.now.plus_seconds(LIVES_SECONDS),
    };
    let unit = |conn: Conn| async move {
        stored::put(&conn, ctx.project.id, row).await?;
        stored::trim(&conn, ctx.project.id, row.user_id, MOST_WAITING).await
    };
    ctx.app.db.unit(unit).await.map(drop)
}

/// What is in progress in the browser with this cookie; nothing, once its user has been signed out, disabled or given
/// another password.
pub async fn find(ctx: &Ctx, cookie: &Secret) -> Result<Option<Progress>> {
    let hash = &cookie.sha256();
    let find = |conn| async move { stored::find(&conn, ctx.project.id, ctx.now, hash).await };
    let Some(row) = ctx.app.db.read(find).await? else { return Ok(None) };
    let aim = open(ctx, cookie, (row.id, "sealed_aim"), &row.sealed_aim)?;
    let aim = std::str::from_utf8(&aim).map_err(Error::internal)?.to_owned();
    Ok(Some(Progress { row, cookie: cookie.clone(), aim: Zeroizing::new(aim) }))
}

impl Progress {
    pub const fn id(&self) -> Uuid {
        self.row.id
    }

    pub const fn user(&self) -> UserId {
        self.row.user_id
    }

    pub fn proven(&self) -> Proven {
        Proven::parse(&self.row.amr, &self.row.acr, &self.row.codes)
    }

    /// When something was proven last.
    pub const fn auth_time(&self) -> Timestamp {
        self.row.auth_time
    }

    pub fn is_step_up(&self) -> bool {
        self.row.purpose == Purpose::StepUp.as_str()
    }

    /// The hash of the cookie whose browser session ends when this is done.
    pub fn replaces(&self) -> &[u8] {
        &self.row.replaces
    }

    /// The sign-in that this becomes, under the epochs of its first proof.
    pub fn sign_in(&self, ctx: &Ctx, proven: Proven) -> Result<SignIn> {
        Ok(SignIn {
            id: ctx.app.entropy.id(ctx.now)?,
            user_id: self.row.user_id,
            project_epoch: self.row.project_epoch,
            user_epoch: self.row.user_epoch,
            browser_epoch: self.row.browser_epoch,
            auth_time: ctx.now,
            amr: proven.amr(),
            acr: proven.acr().as_str().to_owned(),
            codes: proven.codes(),
            user_agent: self.row.user_agent.clone(),
            address: self.row.address.clone(),
        })
    }

    /// What a passkey is asked for here: of this person, in this browser, for this step.
    pub fn passkey_asked(&self) -> Asked {
        let purpose = match self.is_step_up() {
            true => passkeys::Purpose::StepUp,
            false => passkeys::Purpose::SecondFactor,
        };
        Asked::of_browser(purpose, &self.cookie, Some(self.user()))
    }

    /// Keeps what one factor is to answer, in the place of what any was asked before.
    pub async fn ask(&self, ctx: &Ctx, challenge: &[u8]) -> Result<()> {
        let sealed = &seal(ctx, &self.cookie, (self.row.id, "sealed_challenge"), challenge)?;
        let set = |conn| async move { stored::set_challenge(&conn, ctx.project.id, &self.row, sealed).await };
        ctx.app.db.write(set).await.map(drop)
    }

    /// The same in two steps, for a question that is asked in a unit of more.
    pub(super) fn seal_question(&self, ctx: &Ctx, challenge: &[u8]) -> Result<Vec<u8>> {
        seal(ctx, &self.cookie, (self.row.id, "sealed_challenge"), challenge)
    }

    /// `false`: the sign-in is over, or went on under another cookie.
    pub(super) async fn put_question(&self, ctx: &Ctx, conn: &Conn, sealed: &[u8]) -> Result<bool> {
        Ok(stored::set_challenge(conn, ctx.project.id, &self.row, sealed).await? == 1)
    }

    /// What was asked, for somebody who may answer more than once.
    pub(super) fn question(&self, ctx: &Ctx) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let sealed = self.row.sealed_challenge.as_deref();
        sealed.map(|sealed| open(ctx, &self.cookie, (self.row.id, "sealed_challenge"), sealed)).transpose()
    }

    /// What was asked, for the one answer that is looked at. `None`: nothing was, or there was an answer.
    pub async fn take_question(&self, ctx: &Ctx) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(sealed) = &self.row.sealed_challenge else { return Ok(None) };
        let take = |conn| async move { stored::take_challenge(&conn, ctx.project.id, &self.row).await };
        if ctx.app.db.write(take).await? == 0 {
            return Ok(None);
        }
        open(ctx, &self.cookie, (self.row.id, "sealed_challenge"), sealed).map(Some)
    }
}

/// Goes on under another cookie, with all that is `proven` by now. `None`: the last proof had been used.
pub async fn advance(
    ctx: &Ctx,
    progress: &Progress,
    proven: Proven,
    spend: &Spend,
) -> Result<Option<Secret>> {
    let cookie = ctx.app.entropy.token("")?;
    let former = &progress.row;
    let row = &Row {
        token_hash: cookie.sha256(),
        amr: proven.amr(),
        acr: proven.acr().as_str().to_owned(),
        codes: proven.codes(),
        auth_time: ctx.now,
        sealed_aim: seal(ctx, &cookie, (former.id, "sealed_aim"), progress.aim.as_bytes())?,
        ..former.clone()
    };
    let unit = |conn: Conn| async move {
        let (project, user) = (ctx.project.id, former.user_id);
        if !spend.take(&conn, ctx, user).await? {
            return Ok(false);
        }
        if stored::advance(&conn, project, &former.token_hash, row).await? == 0 {
            return Err(sign_in::overtaken());
        }
        forgive(&conn, ctx, former, spend).await?;
        spend.record(&conn, ctx, user).await?;
        Ok(true)
    };
    Ok(ctx.app.db.unit(unit).await?.then_some(cookie))
}

fn key(cookie: &Secret) -> DataKey {
    DataKey::of(cookie, "tessera/sign-in/v1")
}

fn seal(ctx: &Ctx, cookie: &Secret, (id, column): (Uuid, &str), plain: &[u8]) -> Result<Vec<u8>> {
    let row = id.to_string();
    key(cookie).seal(&ctx.app.entropy, &place(ctx.project.id, &row, column), plain)
}

fn open(ctx: &Ctx, cookie: &Secret, (id, column): (Uuid, &str), sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    key(cookie).open(&place(ctx.project.id, &id.to_string(), column), sealed)
}

fn place<'a>(project: ProjectId, row: &'a str, column: &'a str) -> Place<'a> {
    Place { table: "sign_ins_in_progress", project, row, column }
}
