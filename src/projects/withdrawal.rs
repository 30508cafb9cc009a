//! Deleting what users hold: a role, a group or an attribute, with everything that was given of it.
//!
//! Holders are worked off in batches, a unit each, so that no unit grows with the number of users. The last unit deletes
//! the definition; few holders make one unit. A deletion that was interrupted is called again and goes on. Whoever gives
//! meanwhile either comes first and is worked off too, or finds no definition.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::users::locked;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, not_found};
use crate::ids::UserId;
use crate::model::holding::{Holding, LabelKind};
use crate::model::user::UserRow;
use crate::store::db::Conn;
use crate::store::users::{self, Holdings};
use crate::store::{attribute_definitions, holders, labels, projects};

/// Users of one unit.
const BATCH: usize = 100;

/// What a deletion takes away.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Impact {
    /// Users who hold it.
    pub users: usize,
}

pub async fn impact(ctx: &Ctx, holding: Holding, name: &str) -> Result<Impact> {
    let count = ctx
        .app
        .db
        .read(|conn| async move { holders::count(&conn, ctx.project.id, holding, name).await })
        .await?;
    Ok(Impact { users: usize::try_from(count).map_err(Error::internal)? })
}

/// Takes it from everybody and deletes it.
///
/// # Errors
/// 404 when somebody else has deleted it first.
pub async fn delete(ctx: &Ctx, actor: &Actor, holding: Holding, name: &str) -> Result<Impact> {
    let mut users = 0;
    loop {
        let (taken, deleted) = ctx.app.db.unit(|conn| batch(ctx, conn, actor, holding, name, users)).await?;
        users += taken;
        if deleted {
            return Ok(Impact { users });
        }
    }
}

/// One unit: how many users it took from, and whether the definition is gone.
async fn batch(
    ctx: &Ctx,
    conn: Conn,
    actor: &Actor,
    holding: Holding,
    name: &str,
    before: usize,
) -> Result<(usize, bool)> {
    let project = ctx.project.id;
    projects::raise_version(&conn, project, ctx.now).await?;
    let limit = i64::try_from(BATCH).map_err(Error::internal)?;
    let users = holders::take_from_many(&conn, project, holding, name, limit).await?;
    for user in &users {
        take(ctx, &conn, holding, name, *user).await?;
    }
    let last = users.len() < BATCH;
    if last {
        let deleted = match holding {
            Holding::Role => labels::delete(&conn, project, LabelKind::Role, name).await?,
            Holding::Group => labels::delete(&conn, project, LabelKind::Group, name).await?,
            Holding::Attribute => attribute_definitions::delete(&conn, project, name).await?,
        };
        if deleted == 0 {
            return Err(not_found(format!("no such {}", holding.noun())));
        }
    }
    let noun = holding.noun();
    let action = if last { format!("{noun}.deleted") } else { format!("{noun}.withdrawn") };
    let target = format!("{noun}:{name}");
    let detail = json!({"users": if last { before + users.len() } else { users.len() }});
    audit::append(&conn, project, ctx.now, &actor.did(&action, &target).with(detail)).await?;
    Ok((users.len(), last))
}

/// Writes the user's row without it.
async fn take(ctx: &Ctx, conn: &Conn, holding: Holding, name: &str, user: UserId) -> Result<()> {
    let row = match locked(ctx, conn, user, None).await {
        Ok(row) => row,
        // Deleted meanwhile, and what the user held with the user.
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let holdings = without(row, holding, name)?;
    users::set_holdings(conn, ctx.project.id, ctx.now, user, &holdings).await.map(drop)
}

fn without(row: UserRow, holding: Holding, name: &str) -> Result<Holdings> {
    let mut holdings = Holdings { roles: row.roles, groups: row.groups, attributes: row.attributes };
    match holding {
        Holding::Role => holdings.roles = shorter(&holdings.roles, name)?,
        Holding::Group => holdings.groups = shorter(&holdings.groups, name)?,
        Holding::Attribute => {
            let mut values: Map<String, Value> =
                serde_json::from_str(&holdings.attributes).map_err(Error::internal)?;
            values.remove(name);
            holdings.attributes = Value::Object(values).to_string();
        }
    }
    Ok(holdings)
}

fn shorter(list: &str, name: &str) -> Result<String> {
    let mut names: Vec<String> = serde_json::from_str(list).map_err(Error::internal)?;
    names.retain(|held| held != name);
    serde_json::to_string(&names).map_err(Error::internal)
}
