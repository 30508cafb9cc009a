//! Shorthands with the usual settings, for the command line, which acts in its own name.

use std::sync::Arc;

use super::{NewProject, admin_keys, clients, users};
use crate::app::{App, Visit};
use crate::audit::Actor;
use crate::error::Result;
use crate::ids::{AdminKeyId, ProjectId, UserId};
use crate::model::client::{Client, ClientSettings};
use crate::model::project::{Project, ProjectKind, ProjectSettings};
use crate::secret::Secret;

/// Makes a live project.
pub async fn create_project(app: &App, slug: &str, name: &str) -> Result<Project> {
    let new = NewProject {
        slug: slug.into(),
        name: name.into(),
        kind: ProjectKind::Live,
        settings: ProjectSettings::default(),
    };
    super::create(app, &Actor::command_line(), new).await
}

/// Registers a client; `kind` is `confidential` or `public`. The secret (for a confidential one) is given once.
pub async fn create_client(
    app: &App,
    project: ProjectId,
    name: &str,
    kind: &str,
    settings: ClientSettings,
) -> Result<(Client, Option<Secret>)> {
    let new = clients::NewClient { name: name.into(), kind: kind.parse()?, settings, registration: None };
    clients::create(app, project, app.clock.now(), &Actor::command_line(), new).await
}

/// Makes an admin key; `project` `None` is for all of them. The key is given once.
pub async fn create_admin_key(
    app: &App,
    project: Option<ProjectId>,
    name: &str,
    role: &str,
) -> Result<(AdminKeyId, Secret)> {
    let new = admin_keys::NewAdminKey { name: name.into(), role: role.parse()?, project };
    let (made, key) = admin_keys::create(app, &Actor::command_line(), None, new).await?;
    Ok((made.key.id, key))
}

/// Makes a user with a password.
pub async fn create_user(
    app: &Arc<App>,
    project: ProjectId,
    username: &str,
    email: Option<&str>,
    password: Secret,
) -> Result<UserId> {
    let visit = Visit::of_nobody(app, project, app.clock.now());
    let new = users::NewUser {
        username: username.into(),
        email: email.map(str::to_owned),
        password: Some(password),
        ..users::NewUser::default()
    };
    Ok(users::create(&visit.current().await?, &Actor::command_line(), new).await?.id)
}
