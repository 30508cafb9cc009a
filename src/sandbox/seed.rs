//! The start that a sandbox goes back to: the people as they were when somebody said so.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{require, target};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::ids::{ProjectId, UserId};
use crate::keys::master::Place;
use crate::model::holding::Holding;
use crate::store::db::Conn;
use crate::store::sandbox::{self, SeedPerson};
use crate::store::users::{Holdings, Record};
use crate::store::{holders, passwords, project_rows, projects, users};

/// People of a seed.
const MOST_PEOPLE: i64 = 200;

/// How often the removal of people begins anew.
const MOST_ROUNDS: u32 = 5;

#[derive(Serialize, Deserialize)]
struct Seed {
    people: Vec<SeedPerson>,
}

/// Remembers everybody who is there: record, password, roles, groups and attributes; not their sessions, nor their second
/// factors.
///
/// # Errors
/// 409 for a live project, and for more than 200 people.
pub async fn plant(ctx: &Ctx, actor: &Actor) -> Result<usize> {
    require(ctx)?;
    let project = ctx.project.id;
    let people = |conn| async move { sandbox::list_people(&conn, project, MOST_PEOPLE + 1).await };
    let people = ctx.app.db.read(people).await?;
    let count = people.len();
    if count as i64 > MOST_PEOPLE {
        return Err(conflict(format!("a seed has at most {MOST_PEOPLE} people")));
    }
    let plain = Zeroizing::new(serde_json::to_vec(&Seed { people }).map_err(Error::internal)?);
    let id: uuid::Uuid = ctx.app.entropy.id(ctx.wall)?;
    let sealed = &ctx.app.master_keys.seal(&ctx.app.entropy, &place(project, &id.to_string()), &plain)?;
    ctx.app
        .db
        .unit(|conn| async move {
            sandbox::put_seed(&conn, project, ctx.wall, id, sealed, count as i64).await?;
            let target = target(ctx);
            let event = actor.did("sandbox.seed_planted", &target).with(json!({"users": count}));
            audit::append(&conn, project, ctx.now, &event).await
        })
        .await?;
    Ok(count)
}

/// Ends every session, removes everybody with all that is theirs, takes faults and caught messages away, and brings the
/// people of the seed back, under their old ids. Clients, settings, keys, the audit log and the clock stay.
///
/// It can be repeated: one that was cut off is finished by the next.
///
/// # Errors
/// 409 for a live project; 404 while nothing was planted.
pub async fn reset(ctx: &Ctx, actor: &Actor) -> Result<usize> {
    require(ctx)?;
    let project = ctx.project.id;
    let found = ctx.app.db.read(|conn| async move { sandbox::find_seed(&conn, project).await }).await?;
    let found = found.ok_or_else(|| not_found("the sandbox has no seed: plant one first"))?;
    let plain = ctx.app.master_keys.open(&place(project, &found.id.to_string()), &found.sealed_seed)?;
    let seed: Seed = serde_json::from_slice(&plain).map_err(Error::internal)?;
    // Sessions end first, and nobody signs in from before to after.
    ctx.app
        .db
        .unit(|conn| async move {
            if projects::raise_epoch(&conn, project, ctx.now).await? == 0 {
                return Err(not_found("no such project"));
            }
            sandbox::disable_people(&conn, project).await?;
            sandbox::delete_faults(&conn, project).await?;
            let target = target(ctx);
            let event = actor.did("sandbox.reset", &target).with(json!({"users": found.users}));
            audit::append(&conn, project, ctx.now, &event).await
        })
        .await?;
    remove_people(ctx).await?;
    let people = &seed.people;
    for person in people {
        ctx.app.db.unit(|conn| async move { bring_back(ctx, &conn, person).await }).await?;
    }
    Ok(people.len())
}

/// What has been taken out of the project since is not given again.
async fn bring_back(ctx: &Ctx, conn: &Conn, person: &SeedPerson) -> Result<()> {
    let (project, now, user) = (ctx.project.id, ctx.now, person.id);
    let record = Record {
        status: &person.status,
        username: &person.username,
        email: person.email.as_deref(),
        email_verified: person.email_verified,
        profile: &person.profile,
    };
    users::insert(conn, project, now, user, &record).await?;
    let mut attributes: Map<String, Value> = parsed(&person.attributes)?;
    let names = attributes.keys().cloned().collect();
    let known = given(conn, project, Holding::Attribute, names, user).await?;
    attributes.retain(|name, _| known.contains(name));
    let roles = given(conn, project, Holding::Role, parsed(&person.roles)?, user).await?;
    let groups = given(conn, project, Holding::Group, parsed(&person.groups)?, user).await?;
    let holdings = Holdings { roles: text(&roles)?, groups: text(&groups)?, attributes: text(&attributes)? };
    users::set_holdings(conn, project, now, user, &holdings).await?;
    if let (Some(id), Some(secret)) = (person.credential_id, &person.secret) {
        passwords::set(conn, project, now, id, user, (secret, person.by_mail)).await?;
    }
    Ok(())
}

/// Those of the names that the project still defines.
async fn given(
    conn: &Conn,
    project: ProjectId,
    holding: Holding,
    names: Vec<String>,
    user: UserId,
) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for name in names {
        if holders::give(conn, project, holding, &name, user).await? > 0 {
            known.push(name);
        }
    }
    Ok(known)
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(Error::internal)
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// In batches. What was under way writes a little more after the epoch has risen, and a row that comes after its batch keeps
/// its user there: then it begins anew.
async fn remove_people(ctx: &Ctx) -> Result<()> {
    for _ in 1..MOST_ROUNDS {
        match remove_once(ctx).await {
            Err(error) if error.code() == Code::Conflict => {}
            done => return done,
        }
    }
    remove_once(ctx).await
}

async fn remove_once(ctx: &Ctx) -> Result<()> {
    let project = ctx.project.id;
    for kind in 0..project_rows::KINDS_OF_PEOPLE {
        let one = |conn| async move { project_rows::delete_batch(&conn, project, kind).await };
        while ctx.app.db.write(one).await? > 0 {}
    }
    Ok(())
}

/// Where a seed is sealed.
pub fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "sandbox_seeds", project, row, column: "sealed_seed" }
}
