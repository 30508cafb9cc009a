//! Browsers that a person has had remembered: they are not asked again for what the policy asks for beside the password.
//!
//! A device is remembered for one user, and forgotten with everything that raises the user's browser epoch (a new
//! password, a reset of factors, a sign-out of all browsers) and whenever a factor comes or goes.

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::{RememberedDeviceId, UserId};
use crate::secret::Secret;
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
    /// `None`: the project remembers none.
    pub fn of(ctx: &Ctx, sign_in: &SignIn, former: Option<Secret>) -> Result<Option<Self>> {
        let days = ctx.project.settings.sign_in.remember_device_days;
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

/// Whether this browser is remembered for the user. A project that has stopped remembering devices knows none.
pub async fn is_remembered(ctx: &Ctx, user: UserId, cookie: Option<&Secret>) -> Result<bool> {
    let days = ctx.project.settings.sign_in.remember_device_days;
    let Some(hash) = &cookie.filter(|_| days > 0).map(Secret::sha256) else { return Ok(false) };
    let (project, now) = (ctx.project.id, ctx.now);
    let find = |conn| async move { remembered_devices::find(&conn, project, now, user, hash).await };
    let Some(device) = ctx.app.db.read(find).await? else { return Ok(false) };
    // A project that has shortened the days means the devices that it has, too.
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

/// The devices that are remembered for a user.
pub async fn list(ctx: &Ctx, user: UserId) -> Result<Vec<RememberedDevice>> {
    let (project, now) = (ctx.project.id, ctx.now);
    ctx.app.db.read(|conn| async move { remembered_devices::list(&conn, project, now, user).await }).await
}

/// Forgets one. `false`: it is none of the user's.
pub async fn forget(ctx: &Ctx, user: UserId, id: RememberedDeviceId) -> Result<bool> {
    let project = ctx.project.id;
    let gone = |conn| async move { remembered_devices::delete(&conn, project, user, id).await };
    Ok(ctx.app.db.write(gone).await? > 0)
}
