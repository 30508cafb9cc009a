//! `dev` started on another port: its projects follow.
//!
//! An issuer stays with a project for its life, except here, where it names the machine that somebody tries things out on.
//! Access and ID tokens name the issuer they were made under, so older ones are refused; refresh tokens and browser
//! sessions go on.

use serde_json::json;

use super::Demo;
use crate::app::App;
use crate::audit::{self, Actor, Event};
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::project::Project;
use crate::store::db::Conn;
use crate::store::{clients, projects};

/// Moves every project of `from` to `to`, and the redirect URIs of the demo's clients with them.
pub async fn move_to(app: &App, project: &Project, demo: &Demo, from: &str, to: &str) -> Result<()> {
    let now = app.clock.now();
    app.db
        .unit(|conn| async move {
            projects::move_issuers(&conn, now, from, to).await?;
            for client in &demo.clients {
                move_redirect_uris(app, &conn, project, client.client_id, from, to).await?;
            }
            let event = Actor::command_line();
            let event =
                Event { detail: json!({"from": from, "to": to}), ..event.did("instance.moved", "instance") };
            audit::append(&conn, ProjectId::INSTANCE, now, &event).await
        })
        .await?;
    app.cache.forget_project(project.id);
    Ok(())
}

async fn move_redirect_uris(
    app: &App,
    conn: &Conn,
    project: &Project,
    id: crate::ids::ClientId,
    from: &str,
    to: &str,
) -> Result<()> {
    let Some(mut client) = clients::find(conn, project.id, id).await? else { return Ok(()) };
    for uri in &mut client.settings.redirect_uris {
        if let Some(path) = uri.strip_prefix(from).filter(|path| path.starts_with('/')) {
            *uri = format!("{to}{path}");
        }
    }
    let now = app.clock.now();
    clients::update_settings(conn, project.id, now, id, client.version, &client.settings).await?;
    app.cache.forget_client(project.id, id);
    Ok(())
}
