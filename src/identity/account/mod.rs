//! One's own account, as the account page and its REST face have it: decisions of whoever is signed in, each judged again in
//! the unit that carries it out ([`crate::session::holder`]).

pub mod consents;
pub mod data;
pub mod deletion;
pub mod factors;
pub mod password;
pub mod profile;
pub mod sessions;

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::identity::tries::{self, Bound};
use crate::session::holder::Holder;

/// How often somebody acts on their own account: each act is an audit event, and nobody fills the log with their own. What
/// ends sessions is not among it.
#[derive(Clone, Copy)]
enum Act {
    /// Changes of the record, of factors and of remembered browsers.
    Change,
    /// Downloads.
    Download,
    /// Deletions, also those with a wrong name.
    Deletion,
}

impl Act {
    /// A name, how many, and in how many seconds.
    const fn bound(self) -> (&'static str, i64, i64) {
        match self {
            Self::Change => ("own change", 60, 600),
            Self::Download => ("own download", 10, 3600),
            Self::Deletion => ("own deletion", 20, 3600),
        }
    }
}

/// Counts a change that is not one of this module's, before it is done.
///
/// # Errors
/// 503 with the seconds to wait, for one too many.
pub(super) async fn count_change(ctx: &Ctx, holder: &Holder<'_>) -> Result<()> {
    count(ctx, holder, Act::Change).await
}

/// Counts one, before it is done.
///
/// # Errors
/// 503 with the seconds to wait, for one too many.
async fn count(ctx: &Ctx, holder: &Holder<'_>, act: Act) -> Result<()> {
    let (of, most, seconds) = act.bound();
    let user = holder.user();
    let bound = &[Bound::new(ctx, of, user.0.as_bytes(), most, seconds)];
    match ctx.app.db.unit(|conn| async move { tries::count(&conn, ctx, bound).await }).await? {
        Some(wait) => Err(Error::too_often(wait, "the account was changed too often; try again later")),
        None => Ok(()),
    }
}
