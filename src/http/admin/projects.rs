//! `/admin/projects`.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, json};

use super::confirmations::{asking, waiting};
use super::fields::Fields;
use super::paging::{limit, page};
use super::rehearsal::Rehearsal;
use crate::error::{Error, Result, forbidden};
use crate::http::answer::{ok, versioned};
use crate::http::call::Call;
use crate::ids::ProjectId;
use crate::model::confirmation::What;
use crate::model::merge::merged;
use crate::model::project::{Project, ProjectSettings};
use crate::model::role::Permission;
use crate::projects::{self, NewProject, ProjectChange};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    limit: Option<i64>,
    after: Option<ProjectId>,
}

pub async fn list(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let query: List = call.query()?;
    let limit = limit(query.limit)?;
    let found = projects::list(&call.app, &admin.within(Permission::Read), query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |project: &Project| project.id.to_string())))
}

pub async fn create(call: Call) -> Result<Response> {
    let admin = call.admin().await?;
    let mut fields = Fields::of(&call)?;
    let slug: String = fields.required("slug")?;
    let settings: Map<_, _> = fields.optional("settings")?.unwrap_or_default();
    let new = NewProject {
        name: fields.optional("name")?.unwrap_or_else(|| slug.clone()),
        slug,
        kind: fields.optional("kind")?.unwrap_or_default(),
        settings: merged(&ProjectSettings::default(), &settings, "settings.")?,
    };
    fields.finish()?;
    if new.settings.user_managers_may_delete && !admin.may_everywhere(Permission::Own) {
        let field = "settings.user_managers_may_delete";
        return Err(forbidden("only the role owner lets user managers delete users").with_field(field));
    }
    let project = projects::create(&call.app, &call.actor(&admin), new).await?;
    Ok(versioned(StatusCode::CREATED, project.version, &project))
}

pub async fn read(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    Ok(versioned(StatusCode::OK, ctx.project.version, &ctx.project))
}

pub async fn change(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let admin = call.project_admin(&ctx).await?;
    let mut fields = Fields::of(&call)?;
    let change = ProjectChange {
        name: fields.optional("name")?,
        status: fields.optional("status")?,
        settings: fields.optional("settings")?.unwrap_or_default(),
    };
    fields.finish()?;
    let (actor, seen) = (call.actor(&admin), call.if_match()?);
    let project = projects::change(&ctx, &actor, admin.role_in(ctx.project.id), seen, change).await?;
    Ok(versioned(StatusCode::OK, project.version, &project))
}

/// Asks for the deletion, or tells what would end.
pub async fn delete(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let (id, slug) = (ctx.project.id, &ctx.project.slug);
    let actor = call.actor(&asking(&call, &ctx, What::Project, id.0).await?);
    let query: Rehearsal = call.query()?;
    let seen = call.if_match()?;
    let mut fields = Fields::of_optional(&call)?;
    let reason: Option<String> = fields.optional("reason")?;
    fields.finish()?;
    if query.dry_run {
        projects::check_seen(&ctx, seen)?;
        let impact = projects::living(&ctx).await?;
        return Ok(ok(&json!({"id": id, "slug": slug, "deleted": false, "impact": impact})));
    }
    let reason = reason.ok_or_else(|| Error::invalid_field("reason", "missing field reason"))?;
    Ok(waiting(&projects::ask_to_delete(&ctx, &actor, seen, &reason).await?))
}

pub async fn end_all_sessions(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let query: Rehearsal = call.query()?;
    let mut fields = Fields::of_optional(&call)?;
    let reason: String = fields.optional("reason")?.unwrap_or_default();
    fields.finish()?;
    if query.dry_run {
        let living = projects::living(&ctx).await?;
        let impact = json!({"families": living.families, "browser_sessions": living.browser_sessions});
        return Ok(ok(&json!({"impact": impact})));
    }
    projects::end_all_sessions(&ctx, &actor, &reason).await?;
    Ok(ok(&json!({"effective_at": ctx.now})))
}
