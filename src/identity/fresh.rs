//! Sensitive acts on one's own account ask for a proof that is not older than five minutes.

use crate::app::Ctx;
use crate::model::timestamp::Timestamp;
use crate::store::browser_sessions::SignIn;

/// How long a proof is fresh.
pub const FRESH_SECONDS: i64 = 300;

/// The person has to prove once more who they are: the sign-in for the same user, and back to where they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepUp;

/// # Errors
/// [`StepUp`] when the last proof of the session lies too far back.
pub fn require(ctx: &Ctx, session: &SignIn) -> Result<(), StepUp> {
    if is_fresh(session.auth_time, ctx.now) { Ok(()) } else { Err(StepUp) }
}

pub(super) fn is_fresh(auth_time: Timestamp, now: Timestamp) -> bool {
    now < auth_time.plus_seconds(FRESH_SECONDS)
}
