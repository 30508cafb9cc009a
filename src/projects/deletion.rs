//! The end of a project: asked for, confirmed, and repeated where a restored backup has brought the project back.

use serde_json::{Value, json};

use super::admins::home;
use super::confirmations::{self, Subject, Waiting, said_of};
use super::{current, record, target};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::error::{Code, Error, Result, stale};
use crate::ids::{ConfirmationId, ProjectId};
use crate::ledger::{self, Erased, Line};
use crate::model::confirmation::What;
use crate::model::deletion::check_reason;
use crate::model::project::Project;
use crate::model::status::Status;
use crate::model::timestamp::Timestamp;
use crate::store::confirmations::ConfirmationRow;
use crate::store::db::Conn;
use crate::store::projects::Living;
use crate::store::{admin_grants, admin_keys, deletion_guards, endings, projects};

/// What lives in the project, and so would end with it. It counts all of it, so nothing that has to succeed waits for it.
pub async fn living(ctx: &Ctx) -> Result<Living> {
    let id = ctx.project.id;
    ctx.app.db.read(|conn| async move { projects::count_living(&conn, id, ctx.now).await }).await
}

/// Asks for the deletion of the project, which waits for a confirmation. The reason stays in the logs for good.
///
/// # Errors
/// `invalid_request` for a reason that says too little; 409 for a protected project, and what [`confirmations::ask`] refuses; 412 when `seen` is no longer true.
pub async fn ask_to_delete(ctx: &Ctx, actor: &Actor, seen: Option<i64>, reason: &str) -> Result<Waiting> {
    let project = current(ctx, seen)?;
    check_reason(reason, &project.settings.deletion_reasons, [])?;
    home::check_deletion(ctx).await?;
    if project.settings.deletion_protection {
        confirmations::refused(ctx, actor, What::Project, project.id.0, "deletion_protection").await?;
        let why = "the project is protected from deletion: settings.deletion_protection";
        return Err(Error::new(Code::DeletionProtection, why));
    }
    let is_held = |conn| async move { deletion_guards::is_any_held(&conn, project.id).await };
    if ctx.app.db.read(is_held).await? {
        confirmations::refused(ctx, actor, What::Project, project.id.0, "legal_hold").await?;
        return Err(held());
    }
    let impact = confirmations::counted(living(ctx).await)?;
    let subject = Subject { what: What::Project, id: project.id.0, version: project.version, reason };
    confirmations::ask(ctx, actor, subject, impact).await
}

fn held() -> Error {
    let why = "somebody in the project is under a legal hold, which an owner has to lift first";
    Error::new(Code::LegalHold, why)
}

/// Deletes the project: from now on it is not found, and nothing of it lives. Its rows go later, in batches; its slug is
/// never free again. The event stands in the instance's chain as well, because nobody can ask for the project's any more.
///
/// A line in the ledger lets a restored backup end it again, a sandbox as well: nothing brings that back either. It counts
/// nothing: however much there is, it ends.
pub(super) async fn delete_confirmed(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    confirmation: &ConfirmationRow,
) -> Result<()> {
    let mut gone = Project::clone(&ctx.project);
    gone.status = Status::Deleted;
    // What becomes of its rows, and what the instance's log says, goes by everybody's clock.
    let now = ctx.wall;
    endings::begin_for_project(conn, gone.id, now).await?;
    if projects::update(conn, now, &gone, true).await? == 0 {
        return Err(stale(false));
    }
    // Whoever places one holds the project's row as well, so it is there by now, or finds the project gone.
    if deletion_guards::is_any_held(conn, gone.id).await? {
        return Err(held());
    }
    // A key or an admin of the project ends itself here.
    actor.hold(conn).await?;
    let impact: Value = serde_json::from_str(&confirmation.impact).map_err(Error::internal)?;
    let ended = confirmations::merge(end_admins(ctx, conn, now).await?, said_of(confirmation));
    let detail = confirmations::merge(ended, json!({"impact": impact}));
    let erased = Erased::Project { project: gone.id, confirmation: confirmation.id };
    ledger::append(conn, &ctx.app.master_keys, now, &erased).await?;
    let target = target(gone.id);
    let event = actor.did("project.deleted", &target).because(&confirmation.reason);
    let event = event.with(detail).by_an_ended_key();
    record(conn, gone.id, ctx.now, &event).await?;
    record(conn, ProjectId::INSTANCE, now, &event).await
}

/// The keys and the people that the project was given to as admins; gives what is said of them.
async fn end_admins(ctx: &Ctx, conn: &Conn, now: Timestamp) -> Result<Value> {
    let roles = admin_grants::delete_for(conn, ctx.project.id).await?;
    let keys = admin_keys::revoke_all(conn, ctx.project.id, now).await?;
    Ok(json!({"slug": ctx.project.slug, "admin_keys_revoked": keys, "admin_roles_revoked": roles}))
}

/// Deletes a project that a restored backup has brought back; gives whether it had. It was decided on before, so no guard of
/// the backup's day is asked. The caller goes on with the ledger, and then with [`record_again`].
pub async fn delete_again(ctx: &Ctx, conn: &Conn) -> Result<bool> {
    Ok(projects::delete(conn, ctx.project.id, ctx.wall).await? > 0)
}

/// The events of [`delete_again`]: the last statements of its unit.
pub async fn record_again(ctx: &Ctx, conn: &Conn, line: &Line, confirmation: ConfirmationId) -> Result<()> {
    let again = json!({"confirmation_id": confirmation, "ledger_line": line.seq, "deleted_at": line.at});
    let detail = confirmations::merge(end_admins(ctx, conn, ctx.wall).await?, again);
    let (actor, target) = (Actor::command_line(), target(ctx.project.id));
    let event = actor.did("project.deleted", &target);
    let event = event.because("deleted before the backup was restored").with(detail);
    record(conn, ctx.project.id, ctx.now, &event).await?;
    record(conn, ProjectId::INSTANCE, ctx.wall, &event).await
}
