//! Clients: registering, changing, switching off, deleting.

use serde_json::{Map, Value, json};

use super::admins::home;
pub use super::client_secrets::{Old, Rotated, list_secrets, remove_secret, rotate_secret};
use super::confirmations::{self, Subject, Waiting};
use super::initial_access_tokens::not_valid;
use super::sector;
use crate::app::{App, Ctx};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, not_found, stale};
use crate::ids::{ClientId, InitialAccessTokenId, ProjectId};
use crate::keys::client_keys::ClientKeys;
use crate::keys::provide::{self, Change};
use crate::model::client::{Client, ClientKind, ClientSettings, GrantType, SCOPES, unknown_scope};
use crate::model::confirmation::What;
use crate::model::deletion::check_reason;
use crate::model::merge::{differences, merged};
use crate::model::names::check_display_name;
use crate::model::project::next_number;
use crate::model::status::Status;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::{
    client_origins, client_secrets, clients, endings, initial_access_tokens, projects, registrations,
    resource_servers, scopes,
};

/// What every client secret begins with.
pub(super) const PREFIX: &str = "tcs_";

pub struct NewClient {
    pub name: String,
    pub kind: ClientKind,
    pub settings: ClientSettings,
    /// `None`: an admin makes it.
    pub registration: Option<Registration>,
}

/// How an application registers itself.
pub struct Registration {
    /// What it takes one use of.
    pub by: InitialAccessTokenId,
    /// SHA-256 of the token by which it manages what it registered.
    pub hash: Vec<u8>,
}

/// What a PATCH names; what it leaves out stays.
#[derive(Debug, Default)]
pub struct ClientChange {
    pub name: Option<String>,
    pub status: Option<Status>,
    pub settings: Map<String, Value>,
}

impl NewClient {
    /// A client with the settings that are usual for its kind.
    pub fn of_kind(name: String, kind: ClientKind) -> Self {
        let settings = ClientSettings { grant_types: GrantType::usual(kind), ..ClientSettings::default() };
        Self { name, kind, settings, registration: None }
    }
}

/// Registers a client; the secret (for one that has one) is given once and stored as a hash.
pub async fn create(
    app: &App,
    project: ProjectId,
    now: Timestamp,
    actor: &Actor,
    new: NewClient,
) -> Result<(Client, Option<Secret>)> {
    check_display_name("client_name", &new.name)?;
    check_settings(&new.settings, new.kind)?;
    check_policy(app, project, &new.settings).await?;
    home::check_client(app, project, new.kind, &new.settings).await?;
    sector::check(app, project, None, &new.settings).await?;
    provide::for_client(&Change { app, project, now, actor }, &new.settings).await?;
    let client = Client {
        id: app.entropy.id(now)?,
        name: new.name,
        kind: new.kind,
        status: Status::Active,
        token_epoch: now.micros(),
        version: now.micros(),
        shortened_in: 0,
        settings: new.settings,
        created_at: now,
        updated_at: now,
    };
    let secret = if client.has_secret() { Some(app.entropy.token(PREFIX)?) } else { None };
    let (made, hash) = (&client, &secret.as_ref().map(Secret::sha256));
    let registration = &new.registration;
    app.db
        .unit(|conn| async move {
            check_names(&conn, project, &ClientSettings::default(), &made.settings).await?;
            clients::insert(&conn, project, now, made).await?;
            if let Some(Registration { by, hash }) = registration {
                if initial_access_tokens::consume(&conn, project, now, *by).await? == 0 {
                    return Err(not_valid());
                }
                registrations::insert(&conn, project, now, made.id, hash, *by).await?;
            }
            client_origins::replace(&conn, project, made.id, &made.settings.allowed_origins).await?;
            if let Some(hash) = hash {
                client_secrets::put(&conn, project, now, made.id, 1, hash).await?;
            }
            let target = target(made.id);
            let detail = json!({"client_name": made.name, "type": made.kind});
            let event = actor.did("client.created", &target).with(detail);
            audit::append(&conn, project, now, &event).await.map(|_| ())
        })
        .await?;
    Ok((client, secret))
}

fn check_settings(settings: &ClientSettings, kind: ClientKind) -> Result<()> {
    settings.check(kind)?;
    settings.jwks.as_ref().map_or(Ok(()), |jwks| ClientKeys::parse(jwks).map(|_| ()))
}

/// Whether the client takes no more than its project, which is asked where that may be.
async fn check_policy(app: &App, project: ProjectId, settings: &ClientSettings) -> Result<()> {
    if settings.factors.is_none() && settings.remember_device_days.is_none() {
        return Ok(());
    }
    let id = &project.to_string();
    let found = app.db.read(|conn| async move { projects::find(&conn, id).await }).await?;
    let project = found.ok_or_else(|| not_found("no such project"))?;
    settings.check_within(&project.settings.sign_in, &ClientSettings::default())
}

/// Clients by age.
pub async fn list(ctx: &Ctx, after: Option<ClientId>, limit: i64) -> Result<Vec<Client>> {
    let project = ctx.project.id;
    ctx.app.db.read(|conn| async move { clients::list(&conn, project, after, limit).await }).await
}

/// # Errors
/// 404 for one that is unknown or deleted.
pub async fn get(ctx: &Ctx, id: ClientId) -> Result<Client> {
    let found = ctx.app.db.read(|conn| async move { clients::find(&conn, ctx.project.id, id).await }).await?;
    found.filter(|client| client.status != Status::Deleted).ok_or_else(|| not_found("no such client"))
}

/// Changes what is named. Switching off ends every token and code of the client; nothing else here does.
///
/// # Errors
/// `invalid_request` naming the field; 412 or 409 when `seen`, or what was read, is no longer true.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    seen: Option<i64>,
    id: ClientId,
    change: ClientChange,
) -> Result<Client> {
    let old = get_seen(ctx, seen, id).await?;
    home::check_change_of_client(ctx, id).await?;
    let mut new = old.clone();
    if let Some(name) = change.name {
        check_display_name("client_name", &name)?;
        new.name = name;
    }
    if let Some(status) = change.status {
        status.check_settable()?;
        new.status = status;
    }
    new.settings = merged(&old.settings, &change.settings, "")?;
    check_settings(&new.settings, new.kind)?;
    let policy = &ctx.project.settings.sign_in;
    new.settings.check_within(policy, &old.settings)?;
    home::check_client(&ctx.app, ctx.project.id, new.kind, &new.settings).await?;
    let mut changed = differences(&old.settings, &new.settings)?;
    if old.name != new.name {
        changed.insert("client_name".into(), json!({"from": old.name, "to": new.name}));
    }
    if old.status != new.status {
        changed.insert("status".into(), json!({"from": old.status, "to": new.status}));
    }
    if changed.is_empty() {
        return Ok(old);
    }
    let (action, ends) = match (old.status, new.status) {
        (Status::Active, Status::Disabled) => ("client.disabled", true),
        (Status::Disabled, Status::Active) => ("client.enabled", false),
        _ => ("client.changed", false),
    };
    let keys = Change { app: &ctx.app, project: ctx.project.id, now: ctx.wall, actor };
    sector::check(&ctx.app, ctx.project.id, Some(&old.settings), &new.settings).await?;
    provide::for_client(&keys, &new.settings).await?;
    let mut detail = json!({"changed": changed});
    let weakened = old.settings.weakened_by(&new.settings, policy);
    if !weakened.is_empty() {
        detail["weakened"] = json!(weakened);
    }
    let (asked, changed, detail, former) = (&new, &changed, &detail, &old.settings);
    ctx.app
        .db
        .unit(|conn| async move {
            check_names(&conn, ctx.project.id, former, &asked.settings).await?;
            if ends {
                endings::begin_for_client(&conn, ctx.project.id, ctx.now, id).await?;
            }
            if clients::update(&conn, ctx.project.id, ctx.now, asked, ends).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            if changed.contains_key("allowed_origins") {
                client_origins::replace(&conn, ctx.project.id, id, &asked.settings.allowed_origins).await?;
            }
            // A method without a secret: the old ones are not to come back with the method that had them.
            if !asked.has_secret() {
                client_secrets::delete_all(&conn, ctx.project.id, id).await?;
            }
            let target = target(id);
            let event = actor.did(action, &target).with(detail.clone());
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
        })
        .await?;
    new.version = next_number(old.version, ctx.now);
    new.updated_at = ctx.now;
    Ok(new)
}

/// Whether the project has what a registration names anew: scopes of its own, and resource servers.
async fn check_names(
    conn: &Conn,
    project: ProjectId,
    old: &ClientSettings,
    new: &ClientSettings,
) -> Result<()> {
    let words = |settings: &ClientSettings| -> Vec<String> {
        settings.scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect()
    };
    let (known, named) = (words(old), words(new));
    let mut added = named.iter().filter(|word| !SCOPES.contains(&word.as_str()) && !known.contains(word));
    if added.clone().next().is_some() {
        let defined = scopes::list(conn, project).await?;
        if !added.all(|word| defined.iter().any(|scope| scope.name == *word)) {
            return Err(unknown_scope());
        }
    }
    for (field, old, new) in [
        ("resource_servers", &old.resource_servers, &new.resource_servers),
        ("serves", &old.serves, &new.serves),
    ] {
        let mut added = new.iter().filter(|server| !old.contains(server));
        if added.clone().next().is_some() {
            let there = resource_servers::list(conn, project).await?;
            if !added.all(|added| there.iter().any(|server| server.identifier == *added)) {
                let why = format!("{field} names identifiers of the project's resource servers");
                return Err(Error::invalid_field(field, why));
            }
        }
    }
    Ok(())
}

/// How many of its token families live, and so would end with the client. It counts all of them, so nothing that has to
/// succeed waits for it.
pub async fn living_families(ctx: &Ctx, id: ClientId) -> Result<i64> {
    get(ctx, id).await?;
    let project = ctx.project.id;
    ctx.app
        .db
        .read(|conn| async move { clients::count_live_families(&conn, project, ctx.now, id).await })
        .await
}

/// Asks for the deletion of a client, which waits for a confirmation. A reason may be given, and stays in the log for good.
///
/// # Errors
/// `invalid_request` for a reason that says too little; 404 for one that is unknown; 412 when `seen` is no longer true; what [`confirmations::ask`] refuses.
pub async fn ask_to_delete(
    ctx: &Ctx,
    actor: &Actor,
    seen: Option<i64>,
    id: ClientId,
    reason: Option<&str>,
) -> Result<Waiting> {
    let client = get_seen(ctx, seen, id).await?;
    if let Some(reason) = reason {
        check_reason(reason, &ctx.project.settings.deletion_reasons, [])?;
    }
    let reason = reason.unwrap_or_default();
    home::check_change_of_client(ctx, id).await?;
    let families = confirmations::counted(living_families(ctx, id).await)?;
    let subject = Subject { what: What::Client, id: id.0, version: client.version, reason };
    confirmations::ask(ctx, actor, subject, json!({"families": families})).await
}

/// Deletes a client that ends itself.
pub async fn delete(ctx: &Ctx, actor: &Actor, id: ClientId) -> Result<()> {
    let gone = &get(ctx, id).await?;
    home::check_change_of_client(ctx, id).await?;
    let own = || ("", json!({}));
    ctx.app.db.unit(|conn| async move { delete_confirmed(ctx, &conn, actor, gone, own()).await }).await
}

/// Deletes the client: its tokens, codes and secrets are dead. The row stays, so that verification can say why. It counts
/// nothing: however much there is, it ends.
pub(super) async fn delete_confirmed(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    client: &Client,
    (reason, confirmed): (&str, Value),
) -> Result<()> {
    let (project, id) = (ctx.project.id, client.id);
    let gone = Client { status: Status::Deleted, ..client.clone() };
    endings::begin_for_client(conn, project, ctx.now, id).await?;
    if clients::update(conn, project, ctx.now, &gone, true).await? == 0 {
        return Err(stale(false));
    }
    client_secrets::delete_all(conn, project, id).await?;
    client_origins::replace(conn, project, id, &[]).await?;
    registrations::delete(conn, project, id).await?;
    let target = target(id);
    let detail = confirmations::merge(json!({"client_name": client.name}), confirmed);
    let event = actor.did("client.deleted", &target).because(reason).with(detail);
    audit::append(conn, project, ctx.now, &event).await.map(|_| ())
}

/// Like [`get`], in the version that the caller has seen.
pub async fn get_seen(ctx: &Ctx, seen: Option<i64>, id: ClientId) -> Result<Client> {
    let client = get(ctx, id).await?;
    match seen {
        Some(seen) if seen != client.version => Err(stale(true)),
        _ => Ok(client),
    }
}

pub(super) fn target(client: ClientId) -> String {
    format!("client:{client}")
}
