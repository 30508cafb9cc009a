//! Sensitive acts on one's own account ask for a proof that is not older than five minutes, and as good as the person's best:
//! whoever has a second factor has shown it. That a device is remembered shows nothing.

use super::needed;
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::UserId;
use crate::model::proven::has_two;
use crate::model::sign_in_policy::{FactorKind, SecondFactor};
use crate::model::timestamp::Timestamp;
use crate::store::factors::held;

/// How long a proof is fresh.
pub const FRESH_SECONDS: i64 = 300;

/// Whether somebody who was proven at `auth_time`, by `amr`, may do what could cost them the account.
pub async fn is_fresh(ctx: &Ctx, user: UserId, (auth_time, amr): (Timestamp, &str)) -> Result<bool> {
    if ctx.now >= auth_time.plus_seconds(FRESH_SECONDS) {
        return Ok(false);
    }
    Ok(has_two(amr) || !has_second(ctx, user).await?)
}

/// Whether the person has a second factor that counts in the project, or at one of its clients: one that they made, or an
/// address for codes. Were that none, a stolen password would make a factor where a code by mail is asked for.
async fn has_second(ctx: &Ctx, user: UserId) -> Result<bool> {
    if needed::asked_anywhere(ctx).await? == SecondFactor::Off {
        return Ok(false);
    }
    let policy = &ctx.project.settings.sign_in;
    let found = ctx.app.db.read(|conn| async move { held(&conn, ctx.project.id, user).await }).await?;
    let held = found.unwrap_or_default();
    Ok((held.totp > 0 && policy.counts(FactorKind::Totp))
        || (held.passkeys > 0 && policy.counts(FactorKind::Passkey))
        || (held.address && policy.counts(FactorKind::EmailCode)))
}
