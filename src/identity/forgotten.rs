//! A forgotten password: a link to the verified mail address of the account, and a new password for whoever follows it.
//!
//! The new password ends everything that the old one had begun, and skips no second factor: its owner signs in afresh.

use serde_json::Value;

use super::links::{Content, Found, Kind, NewLink};
use super::requests::{Request, finish, may_write};
use super::tries::{self, Bound};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::identity::new_password::{self, Fault, Owner};
use crate::ids::OutboxId;
use crate::mail::notices::{self, Notice, language_of};
use crate::mail::{Letter, Order};
use crate::model::names::folded;
use crate::model::user::UserRow;
use crate::secret::Secret;
use crate::store::{logout_tokens, users};

/// Accounts that share a mail address and get a letter each.
const MOST_ACCOUNTS: i64 = 5;

/// Writes to each active account that has the user name or the verified mail address.
pub(super) async fn answer(ctx: &Ctx, id: OutboxId, request: &Request) -> Result<()> {
    let key = &folded(request.who.trim());
    let found = ctx
        .app
        .db
        .read(|conn| async move { users::list_known_as(&conn, ctx.project.id, key, MOST_ACCOUNTS).await })
        .await?;
    let written = found.iter().filter_map(|user| letter(ctx, user, request).transpose());
    let written = &written.collect::<Result<Vec<_>>>()?;
    ctx.app
        .db
        .unit(|conn| async move {
            if !finish(&conn, ctx, id).await? {
                return Ok(());
            }
            for (user, link, order) in written {
                if may_write(&conn, ctx, Letter::NewPassword, &links_of(user)).await? {
                    link.store(ctx, &conn).await?;
                    notices::send(ctx, &conn, user.id, order).await?;
                }
            }
            Ok(())
        })
        .await
}

/// What letters with links are counted by: whatever makes the links void, a new password or another address, begins a count
/// anew. Only whoever is signed in or reads the mailbox can do that.
fn links_of(user: &UserRow) -> Vec<u8> {
    let epochs = [user.token_epoch.to_be_bytes(), user.browser_epoch.to_be_bytes()].concat();
    let address = folded(user.email.as_deref().unwrap_or_default());
    [user.id.0.as_bytes(), &epochs[..], address.as_bytes()].concat()
}

/// The link and its letter; `None` for an account without a verified address, or one that is named by another's.
fn letter<'a>(
    ctx: &Ctx,
    user: &'a UserRow,
    request: &Request,
) -> Result<Option<(&'a UserRow, NewLink, Order)>> {
    let Some(address) = user.email.as_deref().filter(|_| user.email_verified && user.status == "active")
    else {
        return Ok(None);
    };
    let language = language_of(&user.profile, Some(&request.language));
    let content = Content {
        address: address.to_owned(),
        language: language.clone(),
        go_on: request.go_on.clone(),
        ..Content::default()
    };
    let link = NewLink::of_user(ctx, Kind::NewPassword, user, &content)?;
    let order = Order::new(Letter::NewPassword, address, &language)
        .with("username", user.username.as_deref().unwrap_or_default())
        .with("link", &link.url)
        .with("minutes", Kind::NewPassword.seconds() / 60);
    Ok(Some((user, link, order)))
}

/// Passwords that may be tried with one link: each is hashed, and once for every former one.
const MOST_CHOICES: i64 = 10;

/// What became of a choice.
pub enum Chosen {
    Set,
    /// The link is used up, or something has moved since it was made.
    Gone,
    /// The password breaks a rule of the project.
    Weak(Fault),
    /// Too many were tried.
    TooMany,
}

/// Sets the password that was chosen, ends every session of the account, and tells its owner. `origin`: where whoever
/// follows the link calls from, kept sealed.
///
/// # Errors
/// 503 when the queue of the hasher is full.
pub async fn set(
    ctx: &Ctx,
    link: &Found,
    username: &str,
    password: Secret,
    origin: &Value,
) -> Result<Chosen> {
    let bound = &[Bound::new(
        ctx,
        "new password",
        link.row.id.0.as_bytes(),
        MOST_CHOICES,
        Kind::NewPassword.seconds(),
    )];
    if ctx.app.db.unit(|conn| async move { tries::count(&conn, ctx, bound).await }).await?.is_some() {
        return Ok(Chosen::TooMany);
    }
    let owner = Owner { id: link.row.user_id, username, email: Some(&link.content.address) };
    let password = match new_password::prepare(ctx, owner, password).await? {
        Ok(password) => password,
        Err(fault) => return Ok(Chosen::Weak(fault)),
    };
    let (password, personal) = (&password, &link.sealed_origin(ctx, origin).await);
    ctx.app
        .db
        .unit(|conn| async move {
            let Some(user) = link.take_of_user(ctx, &conn).await? else { return Ok(Chosen::Gone) };
            // Who had the address has it no more, and with it went the proof.
            let same = user.email.as_deref().map(folded) == Some(folded(&link.content.address));
            if !same || !user.email_verified {
                return Ok(Chosen::Gone);
            }
            let (project, now) = (ctx.project.id, ctx.now);
            password.store_by_mail(&conn, ctx, user.id).await?;
            logout_tokens::owe_for_user(&conn, project, now, user.id).await?;
            users::raise_epochs(&conn, project, now, user.id, true).await?;
            notices::queue_to(ctx, &conn, &user, Notice::PasswordChanged).await?;
            let (actor, target) = (Actor::user(ctx, user.id), audit::user_name(ctx, user.id));
            let event = actor.did("user.password_recovered", &target).sealing(personal.as_ref());
            audit::append(&conn, project, now, &event).await?;
            Ok(Chosen::Set)
        })
        .await
}
