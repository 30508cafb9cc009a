//! One session stays, and everything else of its person ends: both epochs rise, and what stays is stamped with the new ones.
//! Nothing else ever writes a family's epochs.

use super::holder::Holder;
use super::sign_out::SignedOut;
use crate::app::Ctx;
use crate::error::Result;
use crate::model::user::UserRow;
use crate::store::db::Conn;
use crate::store::own_sessions::{self, Kept};
use crate::store::{known_places, logout_tokens, remembered_devices, users};

/// In a unit that holds `row`, whose holder has been judged. A browser session stays with what it gave to applications, an
/// application's session by itself.
///
/// What stays is what stood under the epochs of `row`: whatever was ended before is not among it.
pub async fn end_others(ctx: &Ctx, conn: &Conn, holder: &Holder<'_>, row: &UserRow) -> Result<SignedOut> {
    let (project, now, user) = (ctx.project.id, ctx.now, row.id);
    let kept = match holder {
        Holder::Browser(session) => Kept::Browser(session.id),
        Holder::Application(live) => Kept::Family(live.family.id),
    };
    let browser = match holder {
        Holder::Browser(session) => Some(session.id),
        Holder::Application(live) => live.family.browser_session_id,
    };
    let families = users::count_live_families(conn, project, now, user).await?;
    let browsers = users::count_live_browser_sessions(conn, project, now, user).await?;
    match kept {
        Kept::Browser(session) => {
            logout_tokens::owe_for_other_browsers(conn, project, now, user, session).await?
        }
        Kept::Family(family) => {
            logout_tokens::owe_for_other_families(conn, project, now, user, family).await?
        }
    };
    // Who was remembered is asked for a second factor again.
    remembered_devices::delete_all(conn, project, user).await?;
    let new = own_sessions::raise_both(conn, project, now, user).await?;
    own_sessions::stamp(conn, project, user, kept, (row.token_epoch, row.browser_epoch), new).await?;
    // Where it began is known as before, and no other place is.
    if let Some(browser) = browser {
        known_places::keep(conn, project, user, browser, (row.browser_epoch, new.browser_epoch)).await?;
    }
    Ok(SignedOut {
        families_ended: families - users::count_live_families(conn, project, now, user).await?,
        browser_sessions_ended: browsers
            - users::count_live_browser_sessions(conn, project, now, user).await?,
        effective_at: now,
    })
}
