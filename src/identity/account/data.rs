//! Everything that is held on a person, for the person: one JSON document, without secrets.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Act, count};
use crate::app::Ctx;
use crate::audit::{self, Filter, Order};
use crate::error::Result;
use crate::identity::factors::{self, Factors};
use crate::identity::{devices, passkeys};
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::model::user::User;
use crate::projects::user_sessions::{self, Session};
use crate::projects::{consents, users};
use crate::session::holder::Holder;
use crate::session::sign_out::sealed_origin;
use crate::store::consents::Listed;

/// Rows of one read, and how many of a kind there are at most; the newest events.
const PAGE: i64 = 200;
const MOST: usize = 5000;

#[derive(Debug, Serialize)]
pub struct OwnData {
    pub made_at: Timestamp,
    pub issuer: String,
    pub user: User,
    /// Also those that have ended and are not forgotten yet.
    pub sessions: Vec<Session>,
    pub consents: Vec<Listed>,
    pub factors: Factors,
    pub passkeys: Vec<passkeys::Shown>,
    /// Browsers that are not asked for a second factor.
    pub remembered: Vec<Remembered>,
    pub events: Vec<OwnEvent>,
}

#[derive(Debug, Serialize)]
pub struct Remembered {
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What the audit log has of the person: what they did, and what was done to their account.
#[derive(Debug, Serialize)]
pub struct OwnEvent {
    pub at: Timestamp,
    pub action: String,
    /// `user`: the person; otherwise what kind of caller it was.
    pub by: String,
    pub detail: Value,
    pub personal: Option<Value>,
}

/// The download is an event itself. `origin`: where the user calls from, kept sealed.
///
/// # Errors
/// `invalid_token` or `login_required` when the holder's session has ended.
pub async fn download(ctx: &Ctx, holder: &Holder<'_>, origin: &Value) -> Result<OwnData> {
    let user = holder.user();
    count(ctx, holder, Act::Download).await?;
    let personal = sealed_origin(ctx, user, origin).await;
    let (actor, personal) = (&holder.actor(ctx), personal.as_ref());
    ctx.app
        .db
        .unit(|conn| async move {
            holder.hold(ctx, &conn, None).await?;
            let target = audit::user_name(ctx, user);
            let event = actor.did("user.data_downloaded", &target).sealing(personal);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
        })
        .await?;
    Ok(OwnData {
        made_at: ctx.now,
        issuer: ctx.project.issuer.clone(),
        user: users::find(ctx, user).await?,
        sessions: sessions(ctx, user).await?,
        consents: all_consents(ctx, user).await?,
        factors: factors::list(ctx, user).await?,
        passkeys: passkeys::list(ctx, user).await?,
        remembered: remembered(ctx, user).await?,
        events: events(ctx, user).await?,
    })
}

async fn sessions(ctx: &Ctx, user: UserId) -> Result<Vec<Session>> {
    let mut all: Vec<Session> = Vec::new();
    loop {
        let page = user_sessions::list(ctx, user, all.last().map(|last| last.id), PAGE).await?;
        let more = is_full(&page);
        all.extend(page);
        if !more || all.len() >= MOST {
            return Ok(all);
        }
    }
}

async fn all_consents(ctx: &Ctx, user: UserId) -> Result<Vec<Listed>> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let page = consents::list(ctx, user, all.last().map(|last| last.client_id), PAGE).await?;
        let more = is_full(&page);
        all.extend(page);
        if !more || all.len() >= MOST {
            return Ok(all);
        }
    }
}

async fn remembered(ctx: &Ctx, user: UserId) -> Result<Vec<Remembered>> {
    let of = |device: devices::RememberedDevice| Remembered {
        user_agent: device.user_agent,
        address: device.address,
        created_at: device.created_at,
        expires_at: device.expires_at,
    };
    Ok(devices::list(ctx, user).await?.into_iter().map(of).collect())
}

async fn events(ctx: &Ctx, user: UserId) -> Result<Vec<OwnEvent>> {
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
            all.extend(page.into_iter().map(|event| (event.seq, own_event(event, &name))));
            if !more || count >= MOST {
                break;
            }
        }
    }
    Ok(all.into_values().collect())
}

fn own_event(event: audit::Shown, name: &str) -> OwnEvent {
    let by_user = event.actor == name;
    let mut detail = event.detail;
    if let Some(detail) = detail.as_object_mut() {
        // Names of those who work with accounts are theirs.
        for key in ["requested_by", "confirmed_by"] {
            detail.remove(key);
        }
    }
    OwnEvent {
        at: event.at,
        action: event.action,
        by: if by_user { "user".into() } else { event.actor_kind },
        detail: if detail.is_null() { json!({}) } else { detail },
        personal: event.personal,
    }
}

fn is_full<T>(page: &[T]) -> bool {
    page.len() as u64 >= PAGE.unsigned_abs()
}
