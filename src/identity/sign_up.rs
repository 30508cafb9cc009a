//! An account of one's own: by mail address first, which the link proves; user name and password come after, from whoever
//! has followed it. An invitation ends in the same way.

use serde_json::{Map, json};

use super::links::{Content, Found, Kind, NewLink, address_key};
use super::requests::{Request, finish, may_take_in, may_write};
use super::tries::{self, Bound};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Result};
use crate::identity::new_password::Fault;
use crate::ids::{OutboxId, UserId};
use crate::jobs::outbox::{Sealed, seal_letter};
use crate::mail::notices::{self, Notice};
use crate::mail::{Letter, Order};
use crate::model::names::{check_email, folded};
use crate::model::sign_in_policy::SignUp;
use crate::projects::users::{NewUser, prepare};
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::{outbox, users};

/// Accounts that are told when somebody asks for another one with their address.
const MOST_TOLD: i64 = 5;

/// User names that may be tried with one link, so that mailboxes do not turn into lists of who is here.
const MOST_NAMES: i64 = 10;

/// Writes to the address: a link if it is new here. Whoever has it, or has it for a user name, is told instead.
pub(super) async fn answer(ctx: &Ctx, id: OutboxId, request: &Request) -> Result<()> {
    let address = request.who.trim();
    let key = &folded(address);
    let known = &ctx
        .app
        .db
        .read(|conn| async move { users::list_known_as(&conn, ctx.project.id, key, MOST_TOLD).await })
        .await?;
    let is_open = is_open(ctx) && check_email(address).is_ok();
    let has_address = known.iter().any(|user| user.email.as_deref().map(folded).as_ref() == Some(key));
    let new = match is_open && !has_address {
        true => Some(letter(ctx, address, request)?),
        false => None,
    };
    let new = &new;
    ctx.app
        .db
        .unit(|conn| async move {
            if !finish(&conn, ctx, id).await? || !is_open {
                return Ok(());
            }
            let first = if new.is_some() { Letter::SignUp } else { Letter::SignUpKnown };
            if !may_take_in(&conn, ctx, first).await? {
                return Ok(());
            }
            for user in known {
                if may_write(&conn, ctx, Letter::SignUpKnown, user.id.0.as_bytes()).await? {
                    notices::queue_to(ctx, &conn, user, Notice::SignUpKnown).await?;
                }
            }
            if let Some((link, letter)) = new
                && may_write(&conn, ctx, Letter::SignUp, key.as_bytes()).await?
            {
                link.store(ctx, &conn).await?;
                let (project, kind) = (ctx.project.id, letter.kind.as_str());
                let (to, key) = ((letter.id, kind), &address_key(ctx, address));
                outbox::enqueue_to_address(&conn, project, ctx.now, to, key, &letter.body).await?;
            }
            Ok(())
        })
        .await
}

fn letter(ctx: &Ctx, address: &str, request: &Request) -> Result<(NewLink, Sealed)> {
    let content = Content {
        address: address.to_owned(),
        language: request.language.clone(),
        go_on: request.go_on.clone(),
        ..Content::default()
    };
    let link = NewLink::new(ctx, Kind::SignUp, &content, Kind::SignUp.seconds())?;
    let order = Order::new(Letter::SignUp, address, &request.language)
        .with("link", &link.url)
        .with("hours", Kind::SignUp.seconds() / 3600);
    Ok((link, seal_letter(&ctx.app, ctx.project.id, ctx.now, &order)?))
}

/// Whether anybody may make an account.
pub fn is_open(ctx: &Ctx) -> bool {
    ctx.project.settings.sign_in.sign_up == SignUp::Open
}

/// Whether a link that promises an account is still good: the project may have changed its mind.
pub fn still_holds(ctx: &Ctx, link: &Found) -> bool {
    match ctx.project.settings.sign_in.sign_up {
        SignUp::Closed => false,
        SignUp::Invitation => link.content.invited.is_some(),
        SignUp::Open => true,
    }
}

/// What became of it.
pub enum Joined {
    /// The account is there, and can be used.
    Made(UserId),
    /// Somebody else has this user name.
    NameTaken,
    /// It could be somebody else's mail address.
    NotTheirs,
    /// The password breaks a rule of the project.
    Weak(Fault),
    /// Too many names were tried.
    TooMany,
    /// The link is used up, or something has moved since it was made.
    Gone,
}

/// Makes the account that a link promises. A name that somebody chooses and that has an `@` is the address that they have
/// proved: people are found by both.
///
/// # Errors
/// `invalid_request` naming the bound of a user name; 503 when the queue of the hasher is full.
pub async fn join(ctx: &Ctx, link: &Found, username: &str, password: Secret) -> Result<Joined> {
    let invited = link.content.invited.clone().unwrap_or_default();
    let key = &folded(&link.content.address);
    let chosen = folded(username.trim());
    if invited.username.is_none() && chosen.contains('@') && chosen != *key {
        return Ok(Joined::NotTheirs);
    }
    let new = NewUser {
        username: invited.username.unwrap_or_else(|| username.trim().to_owned()),
        email: Some(link.content.address.clone()),
        email_verified: true,
        password: Some(password),
        profile: Map::from_iter([("locale".to_owned(), json!(link.content.language))]),
        roles: invited.roles,
        groups: invited.groups,
        ..NewUser::default()
    };
    let bound = &Bound::new(ctx, "join", link.row.id.0.as_bytes(), MOST_NAMES, Kind::SignUp.seconds());
    let count = |conn| async move {
        tries::count(&conn, ctx, std::slice::from_ref(bound)).await.map(|wait| wait.is_some())
    };
    if ctx.app.db.unit(count).await? {
        return Ok(Joined::TooMany);
    }
    let prepared = &match prepare(ctx, new).await? {
        Ok(prepared) => prepared,
        Err(fault) => return Ok(Joined::Weak(fault)),
    };
    let actor = &Actor::user(ctx, prepared.id);
    let how = link.row.kind.as_str();
    let made = ctx
        .app
        .db
        .unit(|conn| async move {
            if !link.take(ctx, &conn).await? || is_proved(ctx, &conn, key).await? {
                return Ok(false);
            }
            prepared.store(ctx, &conn, actor, json!({"by": how})).await.map(|_| true)
        })
        .await;
    match made {
        Ok(true) => Ok(Joined::Made(prepared.id)),
        Ok(false) => Ok(Joined::Gone),
        Err(error) if error.code() == Code::Conflict && error.field() == Some("username") => {
            Ok(Joined::NameTaken)
        }
        // A role or a group that was promised is gone.
        Err(error) if matches!(error.field(), Some("roles" | "groups")) => Ok(Joined::Gone),
        Err(error) => Err(error),
    }
}

/// Whether somebody has an account with this address by now, because a letter that came before or after was followed. Those
/// who follow two at once take turns: all of them count here.
async fn is_proved(ctx: &Ctx, conn: &Conn, key: &str) -> Result<bool> {
    let turn = Bound::new(ctx, "joins", key.as_bytes(), i64::MAX, Kind::SignUp.seconds());
    tries::count(conn, ctx, std::slice::from_ref(&turn)).await?;
    let known = users::list_known_as(conn, ctx.project.id, key, MOST_TOLD).await?;
    Ok(known
        .iter()
        .any(|user| user.email_verified && user.email.as_deref().map(folded).as_deref() == Some(key)))
}
