//! What a user has allowed applications of others: seen, and withdrawn.

use serde::Serialize;
use serde_json::json;

use super::users::{find, locked};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Result, not_found};
use crate::ids::{ClientId, UserId};
use crate::model::timestamp::Timestamp;
use crate::store::consents::{self, Listed};
use crate::store::db::Conn;
use crate::store::logout_tokens;

/// # Errors
/// 404 for a user that is not there.
pub async fn list(ctx: &Ctx, user: UserId, after: Option<ClientId>, limit: i64) -> Result<Vec<Listed>> {
    find(ctx, user).await?;
    let project = ctx.project.id;
    ctx.app.db.read(|conn| async move { consents::list(&conn, project, user, after, limit).await }).await
}

/// What a withdrawal ended.
#[derive(Debug, Serialize)]
pub struct Withdrawn {
    pub client_id: ClientId,
    pub families_ended: u64,
    pub effective_at: Timestamp,
}

/// Withdraws the consent and ends what the application got by it: token families, codes that it has not exchanged yet, and
/// devices that were allowed.
/// The user's row is locked first, as an exchange does, and the consent next, as whoever makes a code does: what was made
/// before is ended here, and nothing is made after.
///
/// # Errors
/// 404 when the user has allowed this client nothing.
pub async fn withdraw(ctx: &Ctx, actor: &Actor, user: UserId, client: ClientId) -> Result<Withdrawn> {
    ctx.app
        .db
        .unit(|conn| async move {
            locked(ctx, &conn, user, None).await?;
            withdraw_held(ctx, &conn, actor, user, client).await
        })
        .await
}

/// The rest of the unit, which holds the user's row.
pub async fn withdraw_held(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    user: UserId,
    client: ClientId,
) -> Result<Withdrawn> {
    let (project, now) = (ctx.project.id, ctx.now);
    if consents::delete(conn, project, user, client).await? == 0 {
        return Err(not_found("no such consent"));
    }
    let families_ended = consents::end_families(conn, project, now, user, client).await?;
    logout_tokens::owe_for_revoked(conn, project, now, user).await?;
    consents::delete_codes(conn, project, user, client).await?;
    consents::delete_device_grants(conn, project, user, client).await?;
    let target = format!("client:{client}");
    let detail = json!({"user": audit::user_name(ctx, user), "families_ended": families_ended});
    let event = actor.did("consent.withdrawn", &target).with(detail);
    audit::append(conn, project, now, &event).await?;
    Ok(Withdrawn { client_id: client, families_ended, effective_at: now })
}
