//! The APIs that take tokens of a project. Every change raises the project's version: caches hold them.

use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, not_found};
use crate::ids::ResourceServerId;
use crate::model::names::check_display_name;
use crate::model::scope::{MOST_RESOURCE_SERVERS, Names, ResourceServer, is_identifier};
use crate::store::db::Conn;
use crate::store::{projects, resource_servers, scopes};

/// What changes of one; what is left out stays. The identifier never does: tokens carry it.
#[derive(Default)]
pub struct ResourceServerChange {
    pub name: Option<String>,
    pub scopes: Option<Names>,
}

/// # Errors
/// `invalid_request` naming the field and the bound; 409 when the identifier is taken.
pub async fn create(
    ctx: &Ctx,
    actor: &Actor,
    identifier: String,
    content: ResourceServerChange,
) -> Result<ResourceServer> {
    if !is_identifier(&identifier) {
        let bound = "identifier is an absolute URI without fragment, of at most 255 visible ASCII characters";
        return Err(Error::invalid_field("identifier", bound));
    }
    let mut server = ResourceServer {
        id: ctx.app.entropy.id(ctx.now)?,
        name: content.name.clone().unwrap_or_else(|| identifier.chars().take(128).collect()),
        identifier,
        scopes: Names::default(),
        created_at: ctx.now,
    };
    apply(&mut server, &content)?;
    let made = &server;
    ctx.app
        .db
        .unit(|conn| async move {
            // First: it also makes changes of one project's resource servers take turns.
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            check_scopes(&conn, ctx, made).await?;
            let count = resource_servers::list(&conn, ctx.project.id).await?.len();
            if resource_servers::insert(&conn, ctx.project.id, made).await? == 0 {
                let why = "a resource server has this identifier already";
                return Err(conflict(why).with_field("identifier"));
            }
            if count >= MOST_RESOURCE_SERVERS {
                let why = format!("a project has at most {MOST_RESOURCE_SERVERS} resource servers");
                return Err(Error::invalid_field("identifier", why));
            }
            record(ctx, &conn, actor, "resource_server.created", made).await
        })
        .await?;
    Ok(server)
}

pub async fn list(ctx: &Ctx) -> Result<Vec<ResourceServer>> {
    ctx.app.db.read(|conn| async move { resource_servers::list(&conn, ctx.project.id).await }).await
}

pub async fn find(ctx: &Ctx, id: ResourceServerId) -> Result<ResourceServer> {
    list(ctx).await?.into_iter().find(|server| server.id == id).ok_or_else(no_server)
}

/// # Errors
/// `invalid_request` naming the field and the bound; 404 for one that is not there.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    id: ResourceServerId,
    change: &ResourceServerChange,
) -> Result<ResourceServer> {
    ctx.app
        .db
        .unit(|conn| async move {
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            let all = resource_servers::list(&conn, ctx.project.id).await?;
            let mut server = all.into_iter().find(|server| server.id == id).ok_or_else(no_server)?;
            apply(&mut server, change)?;
            if change.scopes.is_some() {
                check_scopes(&conn, ctx, &server).await?;
            }
            resource_servers::update(&conn, ctx.project.id, &server).await?;
            record(ctx, &conn, actor, "resource_server.changed", &server).await?;
            Ok(server)
        })
        .await
}

/// From now on no token is made for it.
///
/// # Errors
/// 404 for one that is not there.
pub async fn delete(ctx: &Ctx, actor: &Actor, id: ResourceServerId) -> Result<()> {
    let gone = &find(ctx, id).await?;
    ctx.app
        .db
        .unit(|conn| async move {
            projects::raise_version(&conn, ctx.project.id, ctx.now).await?;
            if resource_servers::delete(&conn, ctx.project.id, id).await? == 0 {
                return Err(no_server());
            }
            record(ctx, &conn, actor, "resource_server.deleted", gone).await
        })
        .await
}

fn apply(server: &mut ResourceServer, change: &ResourceServerChange) -> Result<()> {
    if let Some(name) = &change.name {
        check_display_name("name", name)?;
        server.name.clone_from(name);
    }
    if let Some(scopes) = &change.scopes {
        server.scopes = scopes.clone();
    }
    Ok(())
}

async fn check_scopes(conn: &Conn, ctx: &Ctx, server: &ResourceServer) -> Result<()> {
    let defined = scopes::list(conn, ctx.project.id).await?;
    server.scopes.check("scopes", |name| defined.iter().any(|scope| scope.name == name))
}

async fn record(ctx: &Ctx, conn: &Conn, actor: &Actor, action: &str, server: &ResourceServer) -> Result<()> {
    let target = format!("resource_server:{}", server.id);
    let detail = json!({"identifier": server.identifier, "scopes": server.scopes});
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}

fn no_server() -> Error {
    not_found("no such resource server")
}
