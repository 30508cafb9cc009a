//! The built-in project `admin`: its users are the admins who are people. It is made at the first start, and never goes.

use std::sync::Arc;

use serde_json::json;

use crate::app::{App, Ctx};
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, forbidden};
use crate::ids::{ClientId, ProjectId};
use crate::keys::generate::RsaSize;
use crate::keys::provide::Change;
use crate::model::client::{Client, ClientKind, ClientSettings, GrantType};
use crate::model::project::{Project, ProjectKind, ProjectSettings};
use crate::model::scope::{Names, Scope};
use crate::model::sign_in_policy::{FactorKind, SecondFactor, SignInPolicy, SignUp};
use crate::model::signing_key::{Alg, KeyState, SigningKey};
use crate::model::status::Status;
use crate::model::timestamp::Timestamp;
use crate::model::validity::Validity;
use crate::projects::{NewProject, new_project, target};
use crate::store::db::Conn;
use crate::store::{admin_grants, clients, projects, scopes};

/// Its slug, which is nobody else's.
pub const SLUG: &str = "admin";
/// How its issuer ends.
pub const PATH: &str = "/projects/admin";
/// What a token needs to be an admin's.
pub const SCOPE: &str = "admin";
/// The `client_id` of the built-in client, `tessera-admin`: the same everywhere, so that nobody has to look it up.
pub const CLIENT: ClientId = ClientId(uuid::uuid!("00000000-0000-7000-8000-0061646d696e"));
/// Where the built-in client listens: programs on the person's own machine (RFC 8252, 7.3).
const REDIRECT_URIS: [&str; 2] = ["http://127.0.0.1:47110/callback", "http://[::1]:47110/callback"];
/// Admins' sessions are short: access 15 minutes, 12 hours in all, one without use.
const VALIDITY: Validity =
    Validity { access_token: 900, id_token: 900, refresh_token: 43_200, refresh_idle: 3600 };

const LOWERED: &str = "settings.sign_in.second_factor of the built-in project admin is lowered on the command line alone: \
                       tessera admin second-factor optional";

/// Its ids, which never change.
#[derive(Clone, Debug)]
pub struct Home {
    pub project: ProjectId,
    pub client: ClientId,
    pub issuer: String,
}

/// `None`: it has not been made.
pub async fn find(app: &App) -> Result<Option<Arc<Home>>> {
    if let Some(home) = app.cache.admin_home.get() {
        return Ok(Some(home.clone()));
    }
    let found = app.db.read(|conn| async move { admin_grants::find_home(&conn).await }).await?;
    Ok(found.map(|row| {
        let home = Home { project: row.project_id, client: row.client_id, issuer: row.issuer };
        app.cache.admin_home.get_or_init(|| Arc::new(home)).clone()
    }))
}

/// Whether a token with these scopes would administer this server.
pub async fn is_for_admins(ctx: &Ctx, scope: &str) -> Result<bool> {
    Ok(scope.split(' ').any(|word| word == SCOPE) && is_home(ctx).await?)
}

/// Whether this is the built-in project. Another one that had its name before there was one is not.
pub async fn is_home(ctx: &Ctx) -> Result<bool> {
    if ctx.project.slug != SLUG {
        return Ok(false);
    }
    Ok(find(&ctx.app).await?.is_some_and(|home| home.project == ctx.project.id))
}

/// Makes it when it is not there; of many nodes that start at once, one does. `None`: another project has its name.
pub async fn ensure(app: &App, second_factor: SecondFactor) -> Result<Option<Arc<Home>>> {
    if let Some(home) = find(app).await? {
        return Ok(Some(home));
    }
    let (now, actor) = (app.clock.now(), &Actor::system("start"));
    let project = new_project(app, now, new(second_factor))?;
    let client = client(now);
    let change = &Change { app, project: project.id, now, actor };
    let mut keys = Vec::new();
    // RS256 for every OpenID Connect library, as for any project with a client.
    for alg in [Alg::ES256, Alg::RS256] {
        keys.push(change.make(alg, RsaSize::default(), KeyState::Current { since: now }).await?);
    }
    let (made, client, keys) = (&project, &client, keys.as_slice());
    let unit = app.db.unit(|conn| async move { store(&conn, change, made, client, keys).await });
    match unit.await {
        // Another node was faster, or somebody had the name before.
        Err(error) if error.code() == Code::Conflict => {
            let found = find(app).await?;
            if found.is_none() {
                tracing::warn!(
                    "a project has the slug admin already, so there are no admins who are people: docs/admin.md"
                );
            }
            return Ok(found);
        }
        outcome => outcome?,
    }
    find(app).await
}

fn new(second_factor: SecondFactor) -> NewProject {
    let sign_in = SignInPolicy { second_factor, sign_up: SignUp::Closed, ..SignInPolicy::default() };
    let settings = ProjectSettings { sign_in, deletion_protection: true, ..ProjectSettings::default() };
    NewProject { slug: SLUG.into(), name: "Admins".into(), kind: ProjectKind::Live, settings }
}

fn client(now: Timestamp) -> Client {
    let settings = ClientSettings {
        redirect_uris: REDIRECT_URIS.map(str::to_owned).into(),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::DeviceCode],
        scope: Some(format!("openid profile email {SCOPE}")),
        validity: VALIDITY,
        ..ClientSettings::default()
    };
    Client {
        id: CLIENT,
        name: "tessera-admin".into(),
        kind: ClientKind::Public,
        status: Status::Active,
        token_epoch: now.micros(),
        version: now.micros(),
        shortened_in: 0,
        settings,
        created_at: now,
        updated_at: now,
    }
}

async fn store(
    conn: &Conn,
    change: &Change<'_>,
    project: &Project,
    client: &Client,
    keys: &[SigningKey],
) -> Result<()> {
    let (id, now, actor) = (project.id, change.now, change.actor);
    projects::insert(conn, project).await?;
    let scope = Scope {
        name: SCOPE.into(),
        description: "Administer this server, as far as your roles reach".into(),
        claims: Names::default(),
        attributes: Names::default(),
        created_at: now,
        version: 0,
    };
    scopes::insert(conn, id, &scope).await?;
    clients::insert(conn, id, now, client).await?;
    admin_grants::insert_home(conn, id, client.id).await?;
    let detail = json!({"slug": project.slug, "name": project.name, "kind": project.kind});
    audit::append(conn, id, now, &actor.did("project.created", &target(id)).with(detail)).await?;
    let (made, named) = (format!("client:{}", client.id), format!("scope:{SCOPE}"));
    let detail = json!({"client_name": client.name, "type": client.kind});
    audit::append(conn, id, now, &actor.did("client.created", &made).with(detail)).await?;
    audit::append(conn, id, now, &actor.did("scope.defined", &named)).await?;
    for key in keys {
        change.insert(conn, key).await?;
    }
    Ok(())
}

/// What never changes of it: whoever is an admin here stays nobody's whim.
///
/// # Errors
/// 409 for another status; `invalid_request` naming the setting; 403 where anybody but the command line asks for no second factor
/// any more: a stolen token would take it away from all who administer the server.
pub async fn check_project(ctx: &Ctx, actor: &Actor, new: &Project) -> Result<()> {
    if !is_home(ctx).await? {
        return Ok(());
    }
    if new.status != Status::Active {
        return Err(conflict("the built-in project admin is never switched off").with_field("status"));
    }
    let (settings, policy) = (&new.settings, &new.settings.sign_in);
    if policy.second_factor == SecondFactor::Optional
        && ctx.project.settings.sign_in.second_factor == SecondFactor::Required
        && !actor.is_command_line()
    {
        return Err(forbidden(LOWERED).with_field("settings.sign_in.second_factor"));
    }
    let refused = if policy.second_factor < SecondFactor::Optional {
        ("settings.sign_in.second_factor", "of the built-in project admin is optional at least")
    } else if policy.counts(FactorKind::EmailCode) {
        ("settings.sign_in.factors", "of the built-in project admin has no email_code")
    } else if policy.remember_device_days > 0 {
        ("settings.sign_in.remember_device_days", "of the built-in project admin is 0")
    } else if policy.sign_up != SignUp::Closed {
        ("settings.sign_in.sign_up", "of the built-in project admin is closed")
    } else if settings.self_deletion {
        ("settings.self_deletion", "of the built-in project admin is off")
    } else if !settings.deletion_protection {
        ("settings.deletion_protection", "of the built-in project admin is on")
    } else {
        return Ok(());
    };
    Err(Error::invalid_field(refused.0, format!("{} {}", refused.0, refused.1)))
}

/// # Errors
/// 409 where the built-in project is to be deleted.
pub async fn check_deletion(ctx: &Ctx) -> Result<()> {
    if is_home(ctx).await? { Err(conflict("the built-in project admin is never deleted")) } else { Ok(()) }
}

/// The scope is for the project's own applications that people sign in to.
///
/// # Errors
/// `invalid_request` for a client of others, a program, and one that registers itself.
pub async fn check_client(
    app: &App,
    project: ProjectId,
    kind: ClientKind,
    settings: &ClientSettings,
) -> Result<()> {
    if !settings.names_scope(SCOPE) || (settings.first_party && kind != ClientKind::Service) {
        return Ok(());
    }
    match find(app).await? {
        Some(home) if home.project == project => {
            Err(Error::invalid_field("scope", "scope names admin for a first-party client with people only"))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// 409 for the built-in client: whatever people sign in with as admins is the program's own.
pub async fn check_change_of_client(ctx: &Ctx, client: ClientId) -> Result<()> {
    match is_home(ctx).await? && find(&ctx.app).await?.is_some_and(|home| home.client == client) {
        true => Err(conflict("the built-in client tessera-admin never changes")),
        false => Ok(()),
    }
}

/// # Errors
/// 409 for the scope that admins' tokens have.
pub async fn check_deletion_of_scope(ctx: &Ctx, scope: &str) -> Result<()> {
    match scope == SCOPE && is_home(ctx).await? {
        true => Err(conflict("the scope admin of the built-in project is never deleted")),
        false => Ok(()),
    }
}
