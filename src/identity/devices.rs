//! Browsers that a person has had remembered: they are not asked again for what the policy asks for beside the password.
//!
//! A device is remembered for one user, and forgotten with everything that raises the user's browser epoch (a new
//! password, a reset of factors, a sign-out of all browsers) and whenever a factor comes or goes.

use serde::Serialize;
use serde_json::json;

use super::account::count_change;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Result, not_found};
use crate::ids::{RememberedDeviceId, UserId};
use crate::model::device_name::{DeviceName, device_name};
use crate::model::timestamp::Timestamp;
use crate::projects::users::locked;
use crate::secret::Secret;
use crate::session::holder::Holder;
use crate::store::browser_sessions::SignIn;
use crate::store::db::Conn;
pub use crate::store::remembered_devices::RememberedDevice;
use crate::store::remembered_devices::{self};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Browsers that are remembered for one user; the oldest is forgotten.
const MOST: i64 = 50;

/// A device that will be remembered when the sign-in is done.
pub struct NewDevice {
    /// What its cookie will be.
    pub cookie: Secret,
    /// What its cookie was. Nobody can show it any more, so what it stood for goes, whoever that was.
    former: Option<Secret>,
    row: RememberedDevice,
}

impl NewDevice {
    /// `None`: it is remembered for no day.
    pub fn of(ctx: &Ctx, days: i64, sign_in: &SignIn, former: Option<Secret>) -> Result<Option<Self>> {
        if days == 0 {
            return Ok(None);
        }
        let row = RememberedDevice {
            id: ctx.app.entropy.id(ctx.now)?,
            user_agent: sign_in.user_agent.clone(),
            address: sign_in.address.clone(),
            created_at: ctx.now,
            last_used_at: ctx.now,
            expires_at: ctx.now.plus_seconds(days * DAY),
        };
        Ok(Some(Self { cookie: ctx.app.entropy.token("")?, former, row }))
    }

    /// Seconds that its cookie lives.
    pub fn lives(&self) -> i64 {
        self.row.expires_at.seconds_since(self.row.created_at)
    }

    pub(super) async fn store(&self, conn: &Conn, ctx: &Ctx, sign_in: &SignIn) -> Result<()> {
        let (project, user) = (ctx.project.id, sign_in.user_id);
        if let Some(former) = &self.former {
            remembered_devices::replace(conn, project, &former.sha256()).await?;
        }
        let (of, hash) = ((user, sign_in.browser_epoch), self.cookie.sha256());
        remembered_devices::insert(conn, project, of, &hash, &self.row).await?;
        remembered_devices::trim(conn, project, user, MOST).await.map(drop)
    }
}

/// Whether this browser was remembered for the user within so many days. Who has stopped remembering devices knows none.
pub async fn is_remembered(ctx: &Ctx, days: i64, user: UserId, cookie: Option<&Secret>) -> Result<bool> {
    let Some(hash) = &cookie.filter(|_| days > 0).map(Secret::sha256) else { return Ok(false) };
    let (project, now) = (ctx.project.id, ctx.now);
    let find = |conn| async move { remembered_devices::find(&conn, project, now, user, hash).await };
    let Some(device) = ctx.app.db.read(find).await? else { return Ok(false) };
    // Who has shortened the days means the devices that there are, too.
    if device.created_at.plus_seconds(days * DAY) <= now {
        return Ok(false);
    }
    if device.last_used_at.plus_seconds(HOUR) <= now {
        let id = device.id;
        ctx.app
            .db
            .write(|conn| async move { remembered_devices::touch(&conn, project, now, id).await })
            .await?;
    }
    Ok(true)
}

/// A remembered device, as the person and admins see it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub id: RememberedDeviceId,
    /// `None`: the browser does not say.
    pub device: Option<DeviceName>,
    pub user_agent: String,
    pub address: String,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

impl From<RememberedDevice> for Shown {
    fn from(row: RememberedDevice) -> Self {
        let RememberedDevice { id, user_agent, address, created_at, last_used_at, expires_at } = row;
        let device = device_name(&user_agent);
        Self { id, device, user_agent, address, created_at, last_used_at, expires_at }
    }
}

/// What is kept of a user's devices, the oldest first.
pub async fn kept(ctx: &Ctx, user: UserId) -> Result<Vec<RememberedDevice>> {
    let (project, now) = (ctx.project.id, ctx.now);
    ctx.app.db.read(|conn| async move { remembered_devices::list(&conn, project, now, user).await }).await
}

/// Those of them that are remembered. A project that has shortened the days means the devices that it has, too, and one that
/// remembers none any more knows none.
pub async fn list(ctx: &Ctx, user: UserId) -> Result<Vec<Shown>> {
    let days = ctx.project.settings.sign_in.remember_device_days;
    let mut kept = kept(ctx, user).await?;
    for device in &mut kept {
        device.expires_at = device.expires_at.min(device.created_at.plus_seconds(days * DAY));
    }
    Ok(kept.into_iter().filter(|device| device.expires_at > ctx.now).map(Shown::from).collect())
}

/// How many were forgotten.
#[derive(Debug, Serialize)]
pub struct Forgotten {
    pub devices_forgotten: u64,
}

/// The browsers are asked for a second factor again: one of them, or all. For whoever holds the account.
///
/// # Errors
/// 404 for a browser that is none of the user's; 503 for too many changes; `invalid_token` or `login_required` when the holder's
/// session has ended.
pub async fn forget_own(
    ctx: &Ctx,
    holder: &Holder<'_>,
    only: Option<RememberedDeviceId>,
) -> Result<Forgotten> {
    count_change(ctx, holder).await?;
    let unit = |conn: Conn| async move {
        holder.hold(ctx, &conn, None).await?;
        forget(&conn, ctx, &holder.actor(ctx), holder.user(), only).await
    };
    ctx.app.db.unit(unit).await
}

/// The same by an admin.
///
/// # Errors
/// 404 for a user or a browser that is not there.
pub async fn forget_of(
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    only: Option<RememberedDeviceId>,
) -> Result<Forgotten> {
    let unit = |conn: Conn| async move {
        locked(ctx, &conn, user, None).await?;
        forget(&conn, ctx, actor, user, only).await
    };
    ctx.app.db.unit(unit).await
}

async fn forget(
    conn: &Conn,
    ctx: &Ctx,
    actor: &Actor,
    user: UserId,
    only: Option<RememberedDeviceId>,
) -> Result<Forgotten> {
    let project = ctx.project.id;
    let devices_forgotten = match only {
        Some(id) => remembered_devices::delete(conn, project, user, id).await?,
        None => remembered_devices::delete_all(conn, project, user).await?,
    };
    if only.is_some() && devices_forgotten == 0 {
        return Err(not_found("no such device"));
    }
    if devices_forgotten == 0 {
        return Ok(Forgotten { devices_forgotten });
    }
    let detail = json!({"device": only, "devices_forgotten": devices_forgotten});
    let target = audit::user_name(ctx, user);
    let event = actor.did("device.forgotten", &target).with(detail);
    audit::append(conn, project, ctx.now, &event).await?;
    Ok(Forgotten { devices_forgotten })
}
