//! The scopes that a project defines. Every change raises the project's version: caches hold them.

use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::model::claim::is_claim;
use crate::model::client::SCOPES;
use crate::model::names::{check_description, check_label};
use crate::model::scope::{MOST_SCOPES, Names, Scope};
use crate::projects::admins::home;
use crate::store::db::Conn;
use crate::store::{attribute_definitions, projects, scopes};

/// What changes of a scope; what is left out stays.
#[derive(Default)]
pub struct ScopeChange {
    pub description: Option<String>,
    pub claims: Option<Names>,
    pub attributes: Option<Names>,
}

/// # Errors
/// `invalid_request` naming the field and the bound; 409 when the name is taken.
pub async fn define(ctx: &Ctx, actor: &Actor, name: String, content: ScopeChange) -> Result<Scope> {
    check_label(&name)?;
    if SCOPES.contains(&name.as_str()) {
        return Err(conflict("this scope is there in every project").with_field("name"));
    }
    let mut scope = Scope {
        name,
        description: String::new(),
        claims: Names::default(),
        attributes: Names::default(),
        created_at: ctx.now,
        version: 0,
    };
    apply(&mut scope, &content)?;
    let made = &scope;
    ctx.app
        .db
        .unit(|conn| async move {
            // First: it also makes changes of one project's scopes take turns.
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            check_attributes(&conn, ctx, made).await?;
            let count = scopes::list(&conn, ctx.project.id).await?.len();
            if scopes::insert(&conn, ctx.project.id, made).await? == 0 {
                return Err(conflict("this scope is defined already").with_field("name"));
            }
            if count >= MOST_SCOPES {
                let why = format!("a project has at most {MOST_SCOPES} scopes");
                return Err(Error::invalid_field("name", why));
            }
            record(ctx, &conn, actor, "scope.defined", made).await
        })
        .await?;
    Ok(scope)
}

pub async fn list(ctx: &Ctx) -> Result<Vec<Scope>> {
    ctx.app.db.read(|conn| async move { scopes::list(&conn, ctx.project.id).await }).await
}

pub async fn find(ctx: &Ctx, name: &str) -> Result<Scope> {
    list(ctx).await?.into_iter().find(|scope| scope.name == name).ok_or_else(no_scope)
}

/// One that shows more is something new: people are asked for it again.
///
/// # Errors
/// `invalid_request` naming the field and the bound; 404 for a scope that is not defined.
pub async fn change(ctx: &Ctx, actor: &Actor, name: &str, change: &ScopeChange) -> Result<Scope> {
    ctx.app
        .db
        .unit(|conn| async move {
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            let all = scopes::list(&conn, ctx.project.id).await?;
            let mut scope = all.into_iter().find(|scope| scope.name == name).ok_or_else(no_scope)?;
            let old = scope.clone();
            apply(&mut scope, change)?;
            if change.attributes.is_some() {
                check_attributes(&conn, ctx, &scope).await?;
            }
            scopes::update(&conn, ctx.project.id, &scope, is_wider(&old, &scope)).await?;
            record(ctx, &conn, actor, "scope.changed", &scope).await?;
            Ok(scope)
        })
        .await
}

/// From now on it is not granted, and sessions that have it get it no more with their next tokens.
///
/// # Errors
/// 404 for a scope that is not defined.
pub async fn delete(ctx: &Ctx, actor: &Actor, name: &str) -> Result<()> {
    home::check_deletion_of_scope(ctx, name).await?;
    let gone = &find(ctx, name).await?;
    ctx.app
        .db
        .unit(|conn| async move {
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            if scopes::delete(&conn, ctx.project.id, name).await? == 0 {
                return Err(no_scope());
            }
            record(ctx, &conn, actor, "scope.deleted", gone).await
        })
        .await
}

fn apply(scope: &mut Scope, change: &ScopeChange) -> Result<()> {
    if let Some(description) = &change.description {
        check_description(description)?;
        scope.description.clone_from(description);
    }
    if let Some(claims) = &change.claims {
        claims.check("claims", is_claim)?;
        scope.claims = claims.clone();
    }
    if let Some(attributes) = &change.attributes {
        scope.attributes = attributes.clone();
    }
    Ok(())
}

fn is_wider(old: &Scope, new: &Scope) -> bool {
    let more = |old: &Names, new: &Names| new.0.iter().any(|name| !old.has(name));
    more(&old.claims, &new.claims) || more(&old.attributes, &new.attributes)
}

async fn check_attributes(conn: &Conn, ctx: &Ctx, scope: &Scope) -> Result<()> {
    let defined = attribute_definitions::list(conn, ctx.project.id).await?;
    scope.attributes.check("attributes", |name| defined.iter().any(|definition| definition.name == name))
}

async fn record(ctx: &Ctx, conn: &Conn, actor: &Actor, action: &str, scope: &Scope) -> Result<()> {
    let target = format!("scope:{}", scope.name);
    let detail = json!({"claims": scope.claims, "attributes": scope.attributes});
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}

fn no_scope() -> Error {
    not_found("no such scope")
}
