//! Roles of people: who gets one, and who loses it. An admin grants no more than they may do themselves.

use std::sync::Arc;

use serde_json::json;

use super::home::{self, Home};
use super::person::name;
use super::{Admin, Within};
use crate::app::{App, Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, forbidden, not_found};
use crate::ids::{AdminGrantId, ProjectId, UserId};
use crate::model::role::{Permission, Role};
use crate::store::admin_grants::{self, GrantRow};
use crate::store::db::Conn;
use crate::store::users;

/// One person has roles in so many projects at most.
const MOST: i64 = 50;

pub struct NewGrant {
    pub user: UserId,
    pub role: Role,
    /// `None`: for every project.
    pub project: Option<ProjectId>,
}

/// The built-in project, for what is asked of it.
///
/// # Errors
/// 409 where there is none, because another project has its name.
pub async fn home(app: &Arc<App>, request_id: &str) -> Result<Ctx> {
    let home = required(app).await?;
    let visit =
        Visit { request_id: request_id.to_owned(), ..Visit::of_nobody(app, home.project, app.clock.now()) };
    visit.current().await
}

async fn required(app: &App) -> Result<Arc<Home>> {
    let none = "there is no built-in project admin: it is made when the server starts, unless another project has its name";
    home::find(app).await?.ok_or_else(|| conflict(none))
}

/// Gives somebody a role; `ctx` is the built-in project's. `by` `None`: the command line.
///
/// # Errors
/// 403 when it would reach further than its giver, and for oneself; 404 for an unknown user; 409 when the user has a role
/// there already.
pub async fn grant(ctx: &Ctx, actor: &Actor, by: Option<&Admin>, new: NewGrant) -> Result<GrantRow> {
    check_giver(by, &new)?;
    let row = GrantRow {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: new.user,
        username: None,
        for_project: new.project.unwrap_or(ProjectId::INSTANCE),
        role: new.role.as_str().into(),
        created_at: ctx.now,
    };
    let asked = &row;
    let unit = |conn: Conn| async move {
        let (home, user) = (ctx.project.id, asked.user_id);
        let person = users::lock(&conn, home, user).await?.ok_or_else(|| not_found("no such user"))?;
        if admin_grants::insert(&conn, home, asked).await? == 0 {
            return Err(conflict("this person has a role there already; revoke it first"));
        }
        if admin_grants::count(&conn, home, user).await? > MOST {
            return Err(Error::invalid_field("user", format!("a person has at most {MOST} roles")));
        }
        record(ctx, &conn, actor, "admin.granted", asked, false).await?;
        Ok(person.username)
    };
    let username = ctx.app.db.unit(unit).await?;
    Ok(GrantRow { username, ..row })
}

fn check_giver(by: Option<&Admin>, new: &NewGrant) -> Result<()> {
    let Some(by) = by else { return Ok(()) };
    if by.person().is_some_and(|person| person.user() == new.user) {
        return Err(forbidden("nobody gives themselves a role"));
    }
    if by.within(Permission::Own).contains(new.project) {
        return Ok(());
    }
    Err(forbidden("an owner of one project gives roles in that project only: name it"))
}

/// Roles by age; `within`: only those for this one project.
pub async fn list(
    app: &App,
    within: Option<ProjectId>,
    after: Option<AdminGrantId>,
    limit: i64,
) -> Result<Vec<GrantRow>> {
    let home = required(app).await?.project;
    app.db.read(|conn| async move { admin_grants::list(&conn, home, within, after, limit).await }).await
}

/// # Errors
/// 404 for one that is unknown, revoked, or beyond `within`.
pub async fn get(app: &App, within: &Within, id: AdminGrantId) -> Result<GrantRow> {
    let home = required(app).await?.project;
    let found = app.db.read(|conn| async move { admin_grants::find(&conn, home, id).await }).await?;
    found.filter(|row| within.contains(project_of(row))).ok_or_else(no_grant)
}

/// Takes a role away: every node refuses the person from the next request on, and what runs comes to nothing.
///
/// # Errors
/// As [`get`].
pub async fn revoke(ctx: &Ctx, actor: &Actor, within: &Within, id: AdminGrantId) -> Result<GrantRow> {
    let unit = |conn: Conn| async move {
        // One may give up one's own.
        actor.hold(&conn).await?;
        let home = ctx.project.id;
        let found = admin_grants::find(&conn, home, id).await?;
        let found = found.filter(|row| within.contains(project_of(row))).ok_or_else(no_grant)?;
        users::lock(&conn, home, found.user_id).await?;
        if admin_grants::delete(&conn, home, id).await? == 0 {
            return Err(no_grant());
        }
        record(ctx, &conn, actor, "admin.revoked", &found, true).await?;
        Ok(found)
    };
    ctx.app.db.unit(unit).await
}

/// `None`: every project.
pub fn project_of(row: &GrantRow) -> Option<ProjectId> {
    Some(row.for_project).filter(|project| *project != ProjectId::INSTANCE)
}

fn no_grant() -> Error {
    not_found("no such role of an admin")
}

/// A role in one project is that project's affair, one for all the instance's.
async fn record(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    action: &str,
    row: &GrantRow,
    held: bool,
) -> Result<()> {
    let target = name(ctx, row.user_id);
    let detail = json!({"role": row.role, "project": project_of(row)});
    let event = actor.did(action, &target).with(detail);
    let event = if held { event.by_an_ended_key() } else { event };
    audit::append(conn, row.for_project, ctx.now, &event).await.map(|_| ())
}
