//! Projects and what belongs to them: clients, users with what they hold, admin keys; making, changing, ending.

pub mod admin_keys;
pub mod admins;
pub mod attributes;
mod client_secrets;
pub mod clients;
pub mod confirmations;
pub mod consents;
mod deletion;
pub mod exports;
pub mod holdings;
pub mod initial_access_tokens;
pub mod labels;
pub mod logos;
pub mod outbox;
pub mod refusals;
pub mod resource_servers;
pub mod scopes;
mod sector;
mod shorthand;
pub mod user_sessions;
pub mod users;
pub mod webhooks;
mod withdrawal;

use serde_json::{Map, Value, json};

use self::admins::{Within, home};
pub use self::deletion::{ask_to_delete, delete_again, living, record_again};
pub use self::shorthand::{create_admin_key, create_client, create_project, create_user};
use crate::app::{App, Ctx};
use crate::audit::{self, Actor, Event};
use crate::error::{Code, Error, Result, conflict, forbidden, not_found, stale};
use crate::ids::ProjectId;
use crate::keys::generate::RsaSize;
use crate::keys::provide::Change;
use crate::model::merge::{differences, merged};
use crate::model::names::{check_display_name, check_slug};
use crate::model::project::{Project, ProjectKind, ProjectSettings, next_number};
use crate::model::role::Role;
use crate::model::signing_key::{Alg, KeyState};
use crate::model::status::Status;
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
pub use crate::store::projects::Living;
use crate::store::{endings, projects};

/// A reason that an admin gives is at most this many characters.
const MOST_REASON: usize = 500;

pub struct NewProject {
    pub slug: String,
    pub name: String,
    pub kind: ProjectKind,
    pub settings: ProjectSettings,
}

/// What a PATCH names; what it leaves out stays.
#[derive(Debug, Default)]
pub struct ProjectChange {
    pub name: Option<String>,
    pub status: Option<Status>,
    pub settings: Map<String, Value>,
}

/// Makes a project with its first signing key. A slug is never used again.
pub async fn create(app: &App, actor: &Actor, new: NewProject) -> Result<Project> {
    check_slug(&new.slug)?;
    if new.slug == home::SLUG {
        return Err(Error::invalid_field("slug", "the slug admin is kept for the built-in project"));
    }
    check_display_name("name", &new.name)?;
    new.settings.check()?;
    logos::check_named(&new.settings, None)?;
    let now = app.clock.now();
    let project = new_project(app, now, new)?;
    let state = KeyState::Current { since: now };
    let change = &Change { app, project: project.id, now, actor };
    let key = change.make(Alg::ES256, RsaSize::default(), state).await?;
    let (made, key) = (&project, &key);
    let made = app
        .db
        .unit(|conn| async move {
            projects::insert(&conn, made).await?;
            let detail = json!({"slug": made.slug, "name": made.name, "kind": made.kind});
            record(&conn, made.id, now, &actor.did("project.created", &target(made.id)).with(detail)).await?;
            change.insert(&conn, key).await
        })
        .await;
    match made {
        Ok(()) => Ok(project),
        Err(error) if error.code() == Code::Conflict => {
            Err(conflict("the slug is taken, or was once").with_field("slug"))
        }
        Err(error) => Err(error),
    }
}

/// A project that nobody has stored yet.
fn new_project(app: &App, now: Timestamp, new: NewProject) -> Result<Project> {
    Ok(Project {
        id: app.entropy.id(now)?,
        issuer: format!("{}/projects/{}", app.base_url, new.slug),
        slug: new.slug,
        name: new.name,
        kind: new.kind,
        status: Status::Active,
        token_epoch: now.micros(),
        version: now.micros(),
        clock_offset: 0,
        settings: new.settings,
        created_at: now,
        updated_at: now,
    })
}

/// The id of a project that is named by slug or by id.
pub async fn find_id(app: &App, name: &str) -> Result<Option<ProjectId>> {
    let found = app.db.read(|conn| async move { projects::find(&conn, name).await }).await?;
    Ok(found.map(|project| project.id))
}

/// Projects by age; whoever is an admin of some sees those.
pub async fn list(app: &App, within: &Within, after: Option<ProjectId>, limit: i64) -> Result<Vec<Project>> {
    let own = match within {
        Within::All => {
            return app.db.read(|conn| async move { projects::list(&conn, None, after, limit).await }).await;
        }
        Within::These(own) => own,
    };
    let mut found = Vec::new();
    for id in own.iter().filter(|id| after.is_none_or(|after| **id > after)) {
        let one = |conn| async move { projects::list(&conn, Some(*id), None, 1).await };
        found.extend(app.db.read(one).await?);
        if i64::try_from(found.len()).map_err(Error::internal)? >= limit {
            break;
        }
    }
    Ok(found)
}

/// Changes what is named. Switching off ends every token, code and browser session; nothing else here does.
///
/// # Errors
/// `invalid_request` naming the field; 403 when less is to be asked for the deletion of a user, by a `role` that is bound
/// by it; 412 or 409 when `seen`, or what was read, is no longer true.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    role: Role,
    seen: Option<i64>,
    change: ProjectChange,
) -> Result<Project> {
    let old = current(ctx, seen)?;
    let mut new = old.clone();
    if let Some(name) = change.name {
        check_display_name("name", &name)?;
        new.name = name;
    }
    if let Some(status) = change.status {
        status.check_settable()?;
        new.status = status;
    }
    new.settings = merged(&old.settings, &change.settings, "settings.")?;
    new.settings.check()?;
    logos::check_named(&new.settings, Some(&old.settings))?;
    home::check_project(ctx, actor, &new).await?;
    if let Some(setting) = old.settings.weakened_by(&new.settings)
        && role != Role::Owner
    {
        let why = format!("only the role owner may weaken {setting}: it binds those who delete users");
        return Err(forbidden(why).with_field(setting));
    }
    let changed = differences(old, &new)?;
    if changed.is_empty() {
        return Ok(new);
    }
    let (action, ends) = match (old.status, new.status) {
        (Status::Active, Status::Disabled) => ("project.disabled", true),
        (Status::Disabled, Status::Active) => ("project.enabled", false),
        _ => ("project.changed", false),
    };
    let weakened = old.settings.sign_in.weakened_by(&new.settings.sign_in);
    let mut detail = json!({"changed": changed});
    if !weakened.is_empty() {
        detail["weakened"] = json!(weakened);
    }
    let (asked, detail) = (&new, &detail);
    ctx.app
        .db
        .unit(|conn| async move {
            if ends {
                endings::begin_for_project(&conn, asked.id, ctx.now).await?;
            }
            if projects::update(&conn, ctx.now, asked, ends).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            let target = target(asked.id);
            let event = actor.did(action, &target).with(detail.clone());
            record(&conn, asked.id, ctx.now, &event).await
        })
        .await?;
    new.version = next_number(old.version, ctx.now);
    new.updated_at = ctx.now;
    Ok(new)
}

/// The emergency: ends every token, code and browser session of the project, and changes nothing else.
pub async fn end_all_sessions(ctx: &Ctx, actor: &Actor, reason: &str) -> Result<()> {
    let strange = |c: char| c.is_control() && c != '\n';
    if reason.chars().count() > MOST_REASON || reason.chars().any(strange) {
        let bound = "reason has at most 500 characters, none of them a control character but line breaks";
        return Err(Error::invalid_field("reason", bound));
    }
    let id = ctx.project.id;
    ctx.app
        .db
        .unit(|conn| async move {
            // Admins who are people sign themselves out as well, where it is their own project.
            actor.hold(&conn).await?;
            endings::begin_for_project(&conn, id, ctx.now).await?;
            if projects::raise_epoch(&conn, id, ctx.now).await? == 0 {
                return Err(not_found("no such project"));
            }
            let target = target(id);
            let event = actor.did("project.sessions_ended", &target).because(reason);
            record(&conn, id, ctx.now, &event.by_an_ended_key()).await
        })
        .await
}

/// The project as it was read for this request, if that is what the caller has seen.
fn current(ctx: &Ctx, seen: Option<i64>) -> Result<&Project> {
    check_seen(ctx, seen).map(|()| &*ctx.project)
}

/// # Errors
/// 412 when the project is no longer the version that the caller has seen.
pub fn check_seen(ctx: &Ctx, seen: Option<i64>) -> Result<()> {
    if seen.is_some_and(|seen| seen != ctx.project.version) { Err(stale(true)) } else { Ok(()) }
}

fn target(project: ProjectId) -> String {
    format!("project:{project}")
}

/// The last statement of a unit.
async fn record(conn: &Conn, chain: ProjectId, now: Timestamp, event: &Event<'_>) -> Result<()> {
    audit::append(conn, chain, now, event).await.map(|_| ())
}
