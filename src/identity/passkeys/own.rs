//! A person's own passkeys: seen, named, taken away.

use serde::Serialize;

use super::enrol::detail;
use super::rp_id;
use crate::app::Ctx;
use crate::audit;
use crate::error::{Error, Result, not_found};
use crate::identity::account::count_change;
use crate::identity::factors::changed;
use crate::ids::{PasskeyId, UserId};
use crate::mail::notices::{self, Notice};
use crate::model::names::check_display_name;
use crate::model::timestamp::Timestamp;
use crate::session::holder::Holder;
use crate::store::passkeys::{self, PasskeyRow};

/// A passkey as its owner sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// Whether there is a copy of it elsewhere, as far as the authenticator says.
    pub backed_up: bool,
    /// Not when it was made while the server had another host.
    pub usable: bool,
}

impl Shown {
    fn new(ctx: &Ctx, row: PasskeyRow) -> Self {
        let usable = rp_id(&ctx.app.base_url).is_some_and(|id| id == row.rp_id);
        let PasskeyRow { id, name, created_at, last_used_at, backed_up, .. } = row;
        Self { id, name, created_at, last_used_at, backed_up, usable }
    }
}

pub async fn list(ctx: &Ctx, user: UserId) -> Result<Vec<Shown>> {
    let project = ctx.project.id;
    let rows = ctx.app.db.read(|conn| async move { passkeys::list(&conn, project, user).await }).await?;
    Ok(rows.into_iter().map(|row| Shown::new(ctx, row)).collect())
}

/// # Errors
/// `invalid_request` naming the bound; 404 for a passkey that is not there, or is somebody else's.
pub async fn rename(ctx: &Ctx, holder: &Holder<'_>, id: PasskeyId, name: &str) -> Result<Shown> {
    check_display_name("name", name)?;
    let unit = |conn| async move {
        holder.hold(ctx, &conn, None).await?;
        passkeys::rename(&conn, ctx.project.id, holder.user(), id, name).await
    };
    let row = ctx.app.db.unit(unit).await?;
    Ok(Shown::new(ctx, row.ok_or_else(no_passkey)?))
}

/// # Errors
/// 404 for a passkey that is not there, or is somebody else's; 503 for too many changes.
pub async fn remove(ctx: &Ctx, holder: &Holder<'_>, id: PasskeyId) -> Result<()> {
    count_change(ctx, holder).await?;
    let user = holder.user();
    ctx.app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            holder.hold(ctx, &conn, None).await?;
            if passkeys::delete(&conn, project, user, id).await? == 0 {
                return Err(no_passkey());
            }
            changed(&conn, ctx, user).await?;
            notices::queue(ctx, &conn, user, Notice::FactorRemoved("passkey")).await?;
            let (actor, target) = (holder.actor(ctx), audit::user_name(ctx, user));
            let event = actor.did("factor.removed", &target).with(detail(id));
            audit::append(&conn, project, ctx.now, &event).await.map(drop)
        })
        .await
}

fn no_passkey() -> Error {
    not_found("no such passkey")
}
