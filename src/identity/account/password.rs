//! Changing one's own password: the old one is proved first, and everything but the session that asks ends.

use serde_json::{Value, json};

use crate::app::Ctx;
use crate::audit;
use crate::error::{Code, Error, Result, conflict};
use crate::identity::new_password::{self, Owner};
use crate::identity::tries::{self, Bound};
use crate::ids::UserId;
use crate::mail::notices::{self, Notice};
use crate::secret::{Secret, equal_in_constant_time};
use crate::session::holder::{Holder, signed_out};
use crate::session::keep_one::end_others;
use crate::session::sign_out::{SignedOut, sealed_origin};
use crate::store::own_sessions::{self, OwnPassword};

/// A session that somebody left open is no oracle for the password.
const MOST_TRIES: i64 = 10;
const TRIES_SECONDS: i64 = 600;

/// What is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The current password is another one.
    Wrong,
    /// The current password was not given.
    Missing,
    /// The new one is the current one.
    Same,
    /// The new one breaks a rule of the project.
    Rule(new_password::Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let new = |why: &'static str| Self::invalid_field("new_password", why);
        match fault {
            Fault::Wrong => Self::new(Code::ConfirmationFailed, "the current password is not right")
                .with_field("current_password"),
            Fault::Missing => Self::invalid_field("current_password", "current_password is missing"),
            Fault::Same => new("new_password is the current one"),
            Fault::Rule(broken) => {
                let broken = Self::from(broken);
                let error = Self::invalid_field("new_password", format!("new_{}", broken.description()));
                match broken.details() {
                    Some(details) => error.with_details(details.clone()),
                    None => error,
                }
            }
        }
    }
}

/// `current` may be left out by whoever has no password yet. `origin`: where the user calls from, kept sealed.
///
/// The epochs are read together with the hash, before the hashing: a sign-out, a reset or another change while the password
/// waits in the queue makes this one impossible.
///
/// # Errors
/// 409 when that happened; `invalid_token` or `login_required` when the holder's session has ended; 503 for too many tries,
/// or when the queue of the hasher is full.
pub async fn change(
    ctx: &Ctx,
    holder: &Holder<'_>,
    current: Option<Secret>,
    new: Secret,
    origin: &Value,
) -> Result<Result<SignedOut, Fault>> {
    let user = holder.user();
    let proof = match prove(ctx, user, current, &new).await? {
        Ok(proof) => proof,
        Err(fault) => return Ok(Err(fault)),
    };
    let owner = Owner {
        id: Some(user),
        username: proof.username.as_deref().unwrap_or_default(),
        email: proof.email.as_deref(),
    };
    let new = match new_password::prepare(ctx, owner, new).await? {
        Ok(new) => new,
        Err(broken) => return Ok(Err(Fault::Rule(broken))),
    };
    let personal = sealed_origin(ctx, user, origin).await;
    let (new, proof, actor, personal) = (&new, &proof, &holder.actor(ctx), personal.as_ref());
    let ended = ctx
        .app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            let row = holder.hold(ctx, &conn, None).await?;
            if (row.token_epoch, row.browser_epoch) != (proof.token_epoch, proof.browser_epoch) {
                return Err(conflict("something else changed the account at the same time; try again"));
            }
            new.store(&conn, ctx, user).await?;
            tries::forgive(&conn, ctx, &[bound(ctx, user)]).await?;
            let ended = end_others(ctx, &conn, holder, &row).await?;
            notices::queue_to(ctx, &conn, &row, Notice::PasswordChanged).await?;
            let target = audit::user_name(ctx, user);
            let detail = json!({"families_ended": ended.families_ended,
                "browser_sessions_ended": ended.browser_sessions_ended});
            let event = actor.did("user.password_changed", &target).with(detail).sealing(personal);
            audit::append(&conn, project, now, &event).await?;
            Ok(ended)
        })
        .await?;
    Ok(Ok(ended))
}

/// Whether the user has a password that has to be proved.
pub async fn has_one(ctx: &Ctx, user: UserId) -> Result<bool> {
    let find = |conn| async move { own_sessions::find_password(&conn, ctx.project.id, user).await };
    Ok(ctx.app.db.read(find).await?.is_some_and(|found| found.secret.is_some()))
}

/// The epochs of the moment in which the hash was read, once it is proved.
async fn prove(
    ctx: &Ctx,
    user: UserId,
    current: Option<Secret>,
    new: &Secret,
) -> Result<Result<OwnPassword, Fault>> {
    let (too_many, proof) = ctx
        .app
        .db
        .unit(|conn| async move {
            // Counted before anybody looks: guesses at once are not fewer.
            let too_many = tries::count(&conn, ctx, &[bound(ctx, user)]).await?;
            Ok((too_many, own_sessions::find_password(&conn, ctx.project.id, user).await?))
        })
        .await?;
    if let Some(seconds) = too_many {
        return Err(Error::too_often(seconds, "the password was tried too often; try again later"));
    }
    let proof = proof.ok_or_else(signed_out)?;
    let Some(secret) = proof.secret.as_deref() else { return Ok(Ok(proof)) };
    let Some(current) = current else { return Ok(Err(Fault::Missing)) };
    let same = equal_in_constant_time(current.expose().as_bytes(), new.expose().as_bytes());
    match (ctx.app.hasher.verify(Some(secret), current).await?, same) {
        (false, _) => Ok(Err(Fault::Wrong)),
        (true, true) => Ok(Err(Fault::Same)),
        (true, false) => Ok(Ok(proof)),
    }
}

fn bound(ctx: &Ctx, user: UserId) -> Bound {
    Bound::new(ctx, "own password", user.0.as_bytes(), MOST_TRIES, TRIES_SECONDS)
}
