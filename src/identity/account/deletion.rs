//! Deleting one's own account: the governed act that admins go through ([`crate::session::delete_user`]), with the person
//! as who asks and who confirms.

use serde::Serialize;

use super::{Act, count};
use crate::app::Ctx;
use crate::audit;
use crate::error::{Result, forbidden};
use crate::ids::DeletionId;
use crate::model::deletion::State;
use crate::model::timestamp::Timestamp;
use crate::session::delete_user;
use crate::session::holder::Holder;
use crate::store::deletions;

/// What became of it.
#[derive(Debug, Serialize)]
pub struct OwnDeletion {
    pub deletion_id: DeletionId,
    pub state: State,
    /// The end of the restore window, where the project has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execute_at: Option<Timestamp>,
}

/// `typed`: the user name, typed again.
///
/// # Errors
/// 403 when the project does not let people delete their accounts, and for a wrong user name, which is counted; 409 when
/// a deletion of this user is open already; `invalid_token` or `login_required` when the holder's session has ended.
pub async fn delete(ctx: &Ctx, holder: &Holder<'_>, typed: &str) -> Result<OwnDeletion> {
    if !ctx.project.settings.self_deletion {
        return Err(forbidden("this project does not let people delete their accounts themselves"));
    }
    count(ctx, holder, Act::Deletion).await?;
    let id = match pending(ctx, holder).await? {
        Some(id) => id,
        None => delete_user::request_own(ctx, holder).await?,
    };
    delete_user::confirm_own(ctx, holder, id, typed).await?;
    let shown = delete_user::show(ctx, id).await?;
    Ok(OwnDeletion { deletion_id: id, state: shown.state, execute_at: shown.execute_at })
}

/// One that was asked for before, and confirmed with a wrong name.
async fn pending(ctx: &Ctx, holder: &Holder<'_>) -> Result<Option<DeletionId>> {
    let (project, user) = (ctx.project.id, holder.user());
    let open =
        ctx.app.db.read(|conn| async move { deletions::find_open(&conn, project, user).await }).await?;
    let name = audit::user_name(ctx, user);
    let is_own = |open: &deletions::Deletion| {
        open.actor == name && open.state == State::Pending.as_str() && open.expires_at > ctx.now
    };
    Ok(open.filter(is_own).map(|open| open.id))
}
