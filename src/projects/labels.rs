//! The roles and groups that a project defines. Each change raises the project's version, which makes changes of one
//! project take turns.

use serde_json::json;

use super::withdrawal::{self, Impact};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::UserId;
use crate::model::holding::{Label, LabelKind};
use crate::model::names::{check_description, check_label};
use crate::model::user::User;
use crate::store::user_lists::Span;
use crate::store::{holders, labels, projects};

/// # Errors
/// `invalid_request` naming the field and the bound; 409 when the name is taken.
pub async fn create(
    ctx: &Ctx,
    actor: &Actor,
    kind: LabelKind,
    name: String,
    description: String,
) -> Result<Label> {
    check_label(&name)?;
    check_description(&description)?;
    let label = Label { name, description, created_at: ctx.now };
    let made = &label;
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, noun) = (ctx.project.id, kind.holding().noun());
            projects::raise_version(&conn, project, ctx.now).await?;
            if labels::insert(&conn, project, ctx.now, kind, &made.name, &made.description).await? == 0 {
                return Err(conflict(format!("this {noun} exists already")).with_field("name"));
            }
            if labels::count(&conn, project, kind).await? > kind.most() {
                let why = format!("a project has at most {} {noun}s", kind.most());
                return Err(Error::invalid_field("name", why));
            }
            let (action, target) = (format!("{noun}.created"), format!("{noun}:{}", made.name));
            audit::append(&conn, project, ctx.now, &actor.did(&action, &target)).await
        })
        .await?;
    Ok(label)
}

/// # Errors
/// 404 for a name that is not defined.
pub async fn find(ctx: &Ctx, kind: LabelKind, name: &str) -> Result<Label> {
    // What cannot be a name is nobody's.
    let found = match check_label(name) {
        Ok(()) => {
            ctx.app
                .db
                .read(|conn| async move { labels::find(&conn, ctx.project.id, kind, name).await })
                .await?
        }
        Err(_) => None,
    };
    found.ok_or_else(|| no_label(kind))
}

/// By name; `after` is the last name of the page before.
pub async fn list(ctx: &Ctx, kind: LabelKind, after: &str, limit: i64) -> Result<Vec<Label>> {
    ctx.app.db.read(|conn| async move { labels::list(&conn, ctx.project.id, kind, after, limit).await }).await
}

/// Who holds it.
pub async fn users(
    ctx: &Ctx,
    kind: LabelKind,
    name: &str,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<User>> {
    find(ctx, kind, name).await?;
    let span = Span { after, limit };
    let rows = ctx
        .app
        .db
        .read(|conn| async move { holders::list(&conn, ctx.project.id, kind, name, span).await })
        .await?;
    rows.into_iter().map(User::try_from).collect()
}

/// Says anew what it is for.
pub async fn describe(ctx: &Ctx, actor: &Actor, kind: LabelKind, name: &str, text: &str) -> Result<Label> {
    check_description(text)?;
    let mut label = find(ctx, kind, name).await?;
    ctx.app
        .db
        .unit(|conn| async move {
            let (project, noun) = (ctx.project.id, kind.holding().noun());
            projects::raise_version(&conn, project, ctx.now).await?;
            if labels::describe(&conn, project, kind, name, text).await? == 0 {
                return Err(no_label(kind));
            }
            let (action, target) = (format!("{noun}.changed"), format!("{noun}:{name}"));
            let event = actor.did(&action, &target).with(json!({"fields": ["description"]}));
            audit::append(&conn, project, ctx.now, &event).await
        })
        .await?;
    text.clone_into(&mut label.description);
    Ok(label)
}

/// What a deletion would take away; changes nothing.
pub async fn impact(ctx: &Ctx, kind: LabelKind, name: &str) -> Result<Impact> {
    find(ctx, kind, name).await?;
    withdrawal::impact(ctx, kind.holding(), name).await
}

/// Takes it from everybody and deletes it.
pub async fn delete(ctx: &Ctx, actor: &Actor, kind: LabelKind, name: &str) -> Result<Impact> {
    find(ctx, kind, name).await?;
    withdrawal::delete(ctx, actor, kind.holding(), name).await
}

fn no_label(kind: LabelKind) -> Error {
    not_found(format!("no such {}", kind.holding().noun()))
}
