//! Making projects, clients, users and admin keys.

pub mod admin_keys;

use crate::app::App;
use crate::audit::{self, Actor};
use crate::cache::key_place;
use crate::error::{Error, Result};
use crate::ids::{AdminKeyId, ProjectId};
use crate::keys::generate::{RsaSize, generate};
use crate::model::client::{Client, ClientSettings, check_initiate_login_uri, check_redirect_uri};
use crate::model::names::{check_password, check_slug, check_username};
use crate::model::project::{Project, ProjectSettings};
use crate::model::role::Role;
use crate::model::signing_key::Alg;
use crate::secret::Secret;
use crate::store::admin_keys::{self as stored_admin_keys, AdminKey};
use crate::store::signing_keys::{self, SigningKeyRow};
use crate::store::users::{self, NewUser};
use crate::store::{clients, projects};

/// Makes a project with its first signing key. A slug is never used again.
pub async fn create_project(app: &App, slug: &str, name: &str) -> Result<Project> {
    check_slug(slug)?;
    let now = app.clock.now();
    let project = Project {
        id: app.entropy.id(now)?,
        slug: slug.into(),
        name: name.into(),
        kind: "live".into(),
        issuer: format!("{}/projects/{slug}", app.base_url),
        status: "active".into(),
        token_epoch: now.micros(),
        version: 1,
        settings: ProjectSettings::default(),
        created_at: now,
        updated_at: now,
    };
    let key = generate(Alg::ES256, RsaSize::default()).await?;
    let sealed = app.master_keys.seal(&app.entropy, &key_place(project.id, &key.kid), &key.private_der)?;
    let key = SigningKeyRow {
        kid: key.kid,
        alg: key.alg.as_str().into(),
        state: "current".into(),
        public_jwk: key.public_jwk,
        sealed_private: sealed,
    };
    let (made, key) = (&project, &key);
    app.db
        .unit(|conn| async move {
            projects::insert(&conn, made).await?;
            signing_keys::insert_current(&conn, made.id, now, key).await?;
            let target = format!("project:{}", made.id);
            audit::append(&conn, made.id, now, &Actor::command_line().did("project.created", &target)).await
        })
        .await?;
    Ok(project)
}

/// Registers a client; the secret (for a confidential one) is given once and stored as a hash.
pub async fn create_client(
    app: &App,
    project: ProjectId,
    name: &str,
    kind: &str,
    settings: ClientSettings,
) -> Result<(Client, Option<Secret>)> {
    if !matches!(kind, "confidential" | "public") {
        return Err(Error::invalid_field("type", "type is confidential or public"));
    }
    settings.redirect_uris.iter().try_for_each(|uri| check_redirect_uri(uri))?;
    settings.initiate_login_uri.iter().try_for_each(|uri| check_initiate_login_uri(uri))?;
    settings.validity.check()?;
    let now = app.clock.now();
    let client = Client {
        id: app.entropy.id(now)?,
        name: name.into(),
        kind: kind.into(),
        status: "active".into(),
        token_epoch: now.micros(),
        version: 1,
        settings,
    };
    let secret = if client.is_public() { None } else { Some(app.entropy.token("tcs_")?) };
    let (made, hash) = (&client, &secret.as_ref().map(Secret::sha256));
    app.db
        .unit(|conn| async move {
            clients::insert(&conn, project, now, made).await?;
            if let Some(hash) = hash {
                clients::set_secret(&conn, project, now, made.id, 1, hash).await?;
            }
            let target = format!("client:{}", made.id);
            audit::append(&conn, project, now, &Actor::command_line().did("client.created", &target)).await
        })
        .await?;
    Ok((client, secret))
}

/// Makes a user with a password.
pub async fn create_user(
    app: &App,
    project: ProjectId,
    username: &str,
    email: Option<&str>,
    password: Secret,
) -> Result<crate::ids::UserId> {
    check_username(username)?;
    check_password(password.expose())?;
    let now = app.clock.now();
    let (id, credential) = (app.entropy.id(now)?, app.entropy.id(now)?);
    let phc = app.hasher.hash(&app.entropy, password).await?;
    let hash = app.master_keys.keyed_hash(
        project,
        "audit/user",
        {
            let id: crate::ids::UserId = id;
            id.0
        }
        .as_bytes(),
    );
    let target = &format!("user:{}", crate::secret::encode_base64url(&hash));
    let phc = phc.as_str();
    app.db
        .unit(|conn| async move {
            users::insert(&conn, project, now, &NewUser { id, username, email }).await?;
            users::insert_password(&conn, project, now, credential, id, phc).await?;
            audit::append(&conn, project, now, &Actor::command_line().did("user.created", target)).await
        })
        .await?;
    Ok(id)
}

/// Makes an admin key; `project` `None` is for all of them. The key is given once.
pub async fn create_admin_key(
    app: &App,
    project: Option<ProjectId>,
    name: &str,
    role: &str,
) -> Result<(AdminKeyId, Secret)> {
    role.parse::<Role>()?;
    let now = app.clock.now();
    let key =
        AdminKey { id: app.entropy.id(now)?, project_id: project, name: name.into(), role: role.into() };
    let secret = app.entropy.token(admin_keys::PREFIX)?;
    let (made, hash, chain) = (&key, &secret.sha256(), project.unwrap_or(ProjectId::INSTANCE));
    app.db
        .unit(|conn| async move {
            stored_admin_keys::insert(&conn, now, made, hash).await?;
            let target = format!("admin_key:{}", made.id);
            audit::append(&conn, chain, now, &Actor::command_line().did("admin_key.created", &target)).await
        })
        .await?;
    Ok((key.id, secret))
}
