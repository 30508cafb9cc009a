//! Making the demo.

use std::sync::Arc;

use crate::app::App;
use crate::audit::Actor;
use crate::cli::common::context;
use crate::demo::{Demo, DemoClient, DemoUser};
use crate::error::{Code, Error};
use crate::model::attribute::AttributeType;
use crate::model::client::ClientSettings;
use crate::model::project::Project;
use crate::projects;
use crate::projects::attributes::{self, NewDefinition};
use crate::secret::Secret;

/// The page that stands in for an application.
pub fn redirect_uri(issuer: &str) -> String {
    format!("{issuer}/demo/callback")
}

/// A project with a confidential and a public client and a user, and an admin key for everything.
pub async fn demo(app: &Arc<App>, database_url: &str) -> anyhow::Result<Demo> {
    let project = project(app).await?;
    define_attribute(app, &project).await?;
    let redirect_uri = redirect_uri(&project.issuer);
    let mut clients = Vec::new();
    for (kind, name) in [("confidential", "Demo web app"), ("public", "Demo mobile app")] {
        let settings = ClientSettings {
            redirect_uris: vec![redirect_uri.clone()],
            // A pasted curl line of the confidential one needs no verifier.
            require_pkce: kind == "public",
            ..ClientSettings::default()
        };
        let (client, secret) = projects::create_client(app, project.id, name, kind, settings).await?;
        clients.push(DemoClient {
            client_id: client.id,
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            redirect_uri: redirect_uri.clone(),
            r#type: kind.into(),
        });
    }
    let password = app.entropy.token("")?.expose()[..16].to_owned();
    let user = DemoUser { username: "alice".into(), password };
    let secret = Secret::new(user.password.clone());
    projects::create_user(app, project.id, &user.username, Some("alice@example.com"), secret).await?;
    let (_, admin_key) = projects::create_admin_key(app, None, "dev", "owner").await?;
    Ok(Demo {
        issuer: project.issuer,
        base_url: app.base_url.clone(),
        project: project.slug,
        clients,
        user,
        admin_key: admin_key.expose().to_owned(),
        database_url: database_url.to_owned(),
    })
}

/// What the `attribute-update` of the tour sets.
async fn define_attribute(app: &Arc<App>, project: &Project) -> anyhow::Result<()> {
    let ctx = context(app, &project.slug).await?;
    let department = NewDefinition {
        name: "department".into(),
        kind: AttributeType::String,
        description: "Where somebody works".into(),
        user_writable: false,
        in_access_token: true,
        max_bytes: None,
    };
    attributes::define(&ctx, &Actor::command_line(), department).await?;
    Ok(())
}

async fn project(app: &App) -> anyhow::Result<Project> {
    let taken = |error: &Error| error.code() == Code::Conflict;
    projects::create_project(app, "demo", "Demo").await.map_err(|error| match error {
        error if taken(&error) => anyhow::anyhow!(
            "the store holds a project demo that dev.json does not tell of: use --fresh, another --data, or another database"
        ),
        error => error.into(),
    })
}
