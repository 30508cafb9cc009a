//! Mail addresses of people who have an account: proving the one they have, and moving to another.

use serde_json::{Value, json};

use super::links::{Content, Found, Kind, NewLink};
use super::requests::may_write;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict};
use crate::ids::UserId;
use crate::mail::notices::{self, Notice, language_of};
use crate::mail::{Letter, Order};
use crate::model::names::{check_email, folded};
use crate::model::user::UserRow;
use crate::projects::users::no_user;
use crate::session::delete_user::follow_own_change;
use crate::session::holder::Holder;
use crate::store::db::Conn;
use crate::store::users::{self, Record};

/// Mails the link that proves the address of an account. `actor` is whoever asks: the user, or an admin.
///
/// # Errors
/// 404 for somebody who is not there; 409 when there is no address, when it is verified already, or when the account has
/// got letters enough for an hour.
pub async fn ask_verification(ctx: &Ctx, actor: &Actor, user: UserId) -> Result<()> {
    verification(ctx, actor, user, None).await
}

/// The same for whoever is signed in.
///
/// # Errors
/// As [`ask_verification`]; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn ask_own_verification(ctx: &Ctx, holder: &Holder<'_>) -> Result<()> {
    verification(ctx, &holder.actor(ctx), holder.user(), Some(holder)).await
}

async fn verification(ctx: &Ctx, actor: &Actor, user: UserId, holder: Option<&Holder<'_>>) -> Result<()> {
    let row = find(ctx, user).await?;
    let Some(address) = row.email.clone().filter(|_| !row.email_verified) else {
        return Err(conflict("the account has no mail address that is not verified yet"));
    };
    let (link, order) = &letter(ctx, &row, Kind::VerifyAddress, Letter::VerifyAddress, &address)?;
    let unit = |conn: Conn| async move {
        if let Some(holder) = holder {
            holder.hold(ctx, &conn, None).await?;
        }
        store(ctx, &conn, user, link, order).await?;
        record(ctx, &conn, actor, user, "user.address_verification_sent", json!({})).await
    };
    ctx.app.db.unit(unit).await
}

/// Mails the link that moves an account to another address, and tells the one that it has. Until the link is followed
/// nothing changes. Whether others have the address is not looked at.
///
/// # Errors
/// `invalid_request` naming the bound of a mail address; 404 for somebody who is not there; 409 when the account has the
/// address already, or has got letters enough for an hour.
pub async fn ask_change(ctx: &Ctx, actor: &Actor, user: UserId, address: &str) -> Result<()> {
    change(ctx, actor, user, address, None).await
}

/// The same for whoever is signed in: a session that has ended gets no letter on its way.
///
/// # Errors
/// As [`ask_change`]; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn ask_own_change(ctx: &Ctx, holder: &Holder<'_>, address: &str) -> Result<()> {
    change(ctx, &holder.actor(ctx), holder.user(), address, Some(holder)).await
}

async fn change(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    address: &str,
    holder: Option<&Holder<'_>>,
) -> Result<()> {
    check_email(address)?;
    let row = &find(ctx, user).await?;
    if row.email.as_deref() == Some(address) && row.email_verified {
        return Err(conflict("the account has this mail address already").with_field("email"));
    }
    let (link, order) = &letter(ctx, row, Kind::ChangeAddress, Letter::ChangeAddress, address)?;
    let unit = |conn: Conn| async move {
        if let Some(holder) = holder {
            holder.hold(ctx, &conn, None).await?;
        }
        store(ctx, &conn, user, link, order).await?;
        notices::queue(ctx, &conn, user, Notice::AddressChangeAsked(address)).await?;
        record(ctx, &conn, actor, user, "user.address_change_asked", json!({})).await
    };
    ctx.app.db.unit(unit).await
}

async fn find(ctx: &Ctx, user: UserId) -> Result<UserRow> {
    let row = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    row.filter(|row| row.status == "active").ok_or_else(no_user)
}

fn letter(ctx: &Ctx, user: &UserRow, kind: Kind, letter: Letter, address: &str) -> Result<(NewLink, Order)> {
    let language = language_of(&user.profile, Some(&ctx.texts.language.tag));
    let content = Content {
        address: address.to_owned(),
        language: language.clone(),
        moves_from: (kind == Kind::ChangeAddress).then(|| folded(user.email.as_deref().unwrap_or_default())),
        ..Content::default()
    };
    let link = NewLink::of_user(ctx, kind, user, &content)?;
    let order = Order::new(letter, address, &language)
        .with("username", user.username.as_deref().unwrap_or_default())
        .with("link", &link.url)
        .with("hours", kind.seconds() / 3600);
    Ok((link, order))
}

/// The letter to a new address counts for the account, or an account could be used to fill the mailboxes of others.
async fn store(ctx: &Ctx, conn: &Conn, user: UserId, link: &NewLink, order: &Order) -> Result<()> {
    if !may_write(conn, ctx, order.letter, user.0.as_bytes()).await? {
        return Err(conflict("too many letters were asked for; try again in an hour"));
    }
    link.store(ctx, conn).await?;
    notices::send(ctx, conn, user, order).await
}

/// Does what a link of these kinds is for. `origin`: where whoever follows it calls from, kept sealed. `false`: it is used
/// up, or something has moved since it was made.
pub async fn confirm(ctx: &Ctx, link: &Found, origin: &Value) -> Result<bool> {
    let moves = link.row.kind == Kind::ChangeAddress.as_str();
    let personal = &link.sealed_origin(ctx, origin).await;
    ctx.app
        .db
        .unit(|conn| async move {
            let Some(row) = link.take_of_user(ctx, &conn).await? else { return Ok(false) };
            let address = link.content.address.as_str();
            let same = row.email.as_deref().map(folded) == Some(folded(address));
            // A link of before says nothing of where it moves from.
            let now_has = folded(row.email.as_deref().unwrap_or_default());
            let overtaken = link.content.moves_from.as_ref().is_some_and(|former| *former != now_has);
            if overtaken || (!moves && !same) {
                return Ok(false);
            }
            if moves && !same {
                notices::queue_to(ctx, &conn, &row, Notice::AddressChanged).await?;
            }
            let record_of = Record {
                status: &row.status,
                username: row.username.as_deref().ok_or_else(|| Error::internal("a user without a name"))?,
                email: Some(address),
                email_verified: true,
                profile: &row.profile,
            };
            let changed = users::update(&conn, ctx.project.id, ctx.now, row.id, &record_of).await?;
            follow_own_change(ctx, &conn, row.id, (row.version, changed.version)).await?;
            let action = if moves { "user.address_changed" } else { "user.address_verified" };
            let target = audit::user_name(ctx, row.id);
            let actor = Actor::user(ctx, row.id);
            let event = actor.did(action, &target).sealing(personal.as_ref());
            audit::append(&conn, ctx.project.id, ctx.now, &event).await?;
            Ok(true)
        })
        .await
}

async fn record(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    user: UserId,
    action: &str,
    detail: Value,
) -> Result<()> {
    let target = audit::user_name(ctx, user);
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}
