//! Everything that is held on a person: one JSON document, without secrets. The person downloads it, and an admin exports it
//! for whoever asks what is held on them, plain or under the project's signature.

mod messages;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::factors::{self, Factors};
use super::{devices, links, passkeys};
use crate::app::Ctx;
use crate::audit::{self, AdminAct, Filter, Order};
use crate::error::Result;
use crate::events;
use crate::ids::UserId;
use crate::keys::statement;
use crate::model::timestamp::Timestamp;
use crate::model::user::User;
use crate::projects::user_sessions::{self, Session};
use crate::projects::{consents, users};
use crate::session::delete_user::guards::{self, Kept};
use crate::store::consents::Listed;
use crate::store::events::Filter as EventFilter;
use crate::store::held::{self, AdminRole, Credential, OfDeletion};
use crate::store::mail_links;

/// Rows of one read, and how many of a kind there are at most; the newest events.
const PAGE: i64 = 200;
const MOST: usize = 5000;

/// Page after page, each beyond the last item of the one before.
macro_rules! all {
    ($kind:ty, $last:ident => $page:expr) => {{
        let mut all: Vec<$kind> = Vec::new();
        loop {
            let $last = all.last();
            let next = $page.await?;
            let more = is_full(&next);
            all.extend(next);
            if !more || all.len() >= MOST {
                break all;
            }
        }
    }};
}

/// Of a signed one.
const TYPE: &str = "tessera-export+jwt";

#[derive(Debug, Serialize)]
pub struct Held {
    pub made_at: Timestamp,
    pub issuer: String,
    pub user: User,
    /// As the audit log names the person, and an erasure record after the deletion.
    pub name_in_log: String,
    /// When a password was set; never anything of it.
    pub credentials: Vec<Credential>,
    /// Also those that have ended and are not forgotten yet.
    pub sessions: Vec<Session>,
    pub consents: Vec<Listed>,
    pub factors: Factors,
    pub passkeys: Vec<passkeys::Shown>,
    /// Browsers that are not asked for a second factor.
    pub remembered: Vec<Remembered>,
    /// Links that were mailed and may still be followed.
    pub links: Vec<Mailed>,
    /// What is to leave, or could not be delivered, and so is kept for a while.
    pub messages: Vec<messages::Pending>,
    /// What keeps the person from being deleted.
    pub guards: Vec<Kept>,
    /// Of a user of the built-in project; nobody else has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub admin_roles: Vec<AdminRole>,
    /// What they did as an admin, in whatever project, and from where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub admin_acts: Vec<AdminAct>,
    pub deletions: Vec<OfDeletion>,
    pub events: Vec<OwnEvent>,
    /// Sign-ins, refreshes and failures.
    pub sign_ins: Vec<SignIn>,
    /// False where there was more of a kind than fits: the newest events are here, and the first of everything else.
    pub complete: bool,
}

#[derive(Debug, Serialize)]
pub struct Remembered {
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
pub struct Mailed {
    pub kind: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What the audit log has of the person: what they did, and what was done to their account. Not the reasons that admins
/// gave, which are theirs to tell: of a legal hold, for one, not everybody may.
#[derive(Debug, Serialize)]
pub struct OwnEvent {
    pub at: Timestamp,
    pub action: String,
    /// `user`: the person; otherwise what kind of caller it was.
    pub by: String,
    pub detail: Value,
    pub personal: Option<Value>,
    /// From where the person did it; never where others acted from.
    pub origin: Option<Value>,
}

#[derive(Debug, Serialize)]
pub struct SignIn {
    pub at: Timestamp,
    pub kind: String,
    pub outcome: String,
    pub personal: Option<Value>,
}

/// # Errors
/// 404 for somebody who is not there.
pub async fn gather(ctx: &Ctx, user: UserId) -> Result<Held> {
    let project = ctx.project.id;
    let rows = |conn| async move {
        let credentials = held::credentials(&conn, project, user).await?;
        let admin_roles = held::admin_roles(&conn, project, user, PAGE).await?;
        Ok((credentials, admin_roles, held::deletions(&conn, project, user, PAGE).await?))
    };
    let (credentials, admin_roles, deletions) = ctx.app.db.read(rows).await?;
    let mut held = Held {
        made_at: ctx.now,
        issuer: ctx.project.issuer.clone(),
        user: users::find(ctx, user).await?,
        name_in_log: audit::user_name(ctx, user),
        credentials,
        sessions: all!(Session, last => user_sessions::list(ctx, user, last.map(|last| last.id), PAGE)),
        consents: all!(Listed, last => consents::list(ctx, user, last.map(|last| last.client_id), PAGE)),
        factors: factors::list(ctx, user).await?,
        passkeys: passkeys::list(ctx, user).await?,
        remembered: remembered(ctx, user).await?,
        links: mailed(ctx, user).await?,
        messages: all!(messages::Pending, last => messages::list(ctx, user, last.map(|last| last.id), PAGE)),
        guards: guards::kept(ctx, user).await?,
        admin_roles,
        admin_acts: all!(AdminAct, last => audit::admin_acts(&ctx.app, (project, user), last, PAGE)),
        deletions,
        events: events_of(ctx, user).await?,
        sign_ins: sign_ins(ctx, user).await?,
        complete: true,
    };
    let lists = [
        held.sessions.len(),
        held.consents.len(),
        held.messages.len(),
        held.admin_acts.len(),
        held.events.len(),
        held.sign_ins.len(),
    ];
    held.complete = lists.into_iter().all(|count| count < MOST);
    Ok(held)
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    /// Tokens of a sandbox say so, and so does this.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sandbox: bool,
    data: &'a Held,
}

/// The same as a compact JWS under the project's signature, which whoever gets it can check. It has neither subject nor
/// audience, and a type of its own: it is no token.
pub fn signed(ctx: &Ctx, data: &Held) -> Result<String> {
    let claims =
        Claims { iss: &ctx.project.issuer, iat: ctx.now.unix(), sandbox: ctx.project.is_sandbox(), data };
    statement::sign(ctx, TYPE, &claims)
}

async fn remembered(ctx: &Ctx, user: UserId) -> Result<Vec<Remembered>> {
    let of = |device: devices::RememberedDevice| Remembered {
        user_agent: device.user_agent,
        address: device.address,
        created_at: device.created_at,
        expires_at: device.expires_at,
    };
    Ok(devices::kept(ctx, user).await?.into_iter().map(of).collect())
}

async fn events_of(ctx: &Ctx, user: UserId) -> Result<Vec<OwnEvent>> {
    let name = audit::user_name(ctx, user);
    let mut all = BTreeMap::new();
    let of = |actor, target| Filter { actor, target, ..Filter::default() };
    for filter in [of(None, Some(name.clone())), of(Some(name.clone()), None)] {
        let (mut after, mut count) = (None, 0);
        loop {
            let page =
                audit::list(&ctx.app, ctx.project.id, &filter, Order::NewestFirst, after, PAGE).await?;
            let more = is_full(&page);
            (after, count) = (page.last().map(|last| last.seq), count + page.len());
            all.extend(
                page.into_iter().map(|event| (event.seq, own_event(event, (ctx.project.id, user), &name))),
            );
            if !more || count >= MOST {
                break;
            }
        }
    }
    Ok(all.into_values().collect())
}

async fn sign_ins(ctx: &Ctx, user: UserId) -> Result<Vec<SignIn>> {
    let filter = &EventFilter { user: Some(user), ..EventFilter::default() };
    let listed = all!(events::Shown, last => events::list(ctx, filter, last.map(|last| last.id), PAGE));
    let of = |event: events::Shown| SignIn {
        at: event.at,
        kind: event.kind,
        outcome: event.outcome,
        personal: event.personal,
    };
    Ok(listed.into_iter().map(of).collect())
}

async fn mailed(ctx: &Ctx, user: UserId) -> Result<Vec<Mailed>> {
    let (project, now) = (ctx.project.id, ctx.now);
    let list = |conn| async move { mail_links::list_of_user(&conn, project, now, user, PAGE).await };
    let mut all = Vec::new();
    for row in ctx.app.db.read(list).await? {
        let address = links::content(ctx, &row)?.address;
        all.push(Mailed { kind: row.kind, address, created_at: row.created_at, expires_at: row.expires_at });
    }
    Ok(all)
}

fn own_event(event: audit::Shown, owner: audit::Owner, name: &str) -> OwnEvent {
    let by_user = event.actor == name;
    let is_own = event.origin_owner == Some(owner);
    let mut detail = event.detail;
    if let Some(detail) = detail.as_object_mut() {
        // Names of those who work with accounts are theirs, and so is why somebody is not told.
        for key in ["requested_by", "confirmed_by", "notify_reason"] {
            detail.remove(key);
        }
    }
    OwnEvent {
        at: event.at,
        action: event.action,
        by: if by_user { "user".into() } else { event.actor_kind },
        detail: if detail.is_null() { json!({}) } else { detail },
        personal: event.personal,
        origin: event.origin.filter(|_| is_own),
    }
}

fn is_full<T>(page: &[T]) -> bool {
    page.len() as u64 >= PAGE.unsigned_abs()
}
