//! The clock of a sandbox. It goes ahead of the machine's by seconds that only grow, so that nothing
//! comes to life again; not even a reset sets it back.

use serde::Serialize;
use serde_json::json;

use super::{require, target};
use crate::app::{Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict};
use crate::model::timestamp::Timestamp;
use crate::session::delete_user::execute_due;
use crate::store::db::Conn;
use crate::store::{deletions_due, sandbox};

/// A clock is at most so far ahead, in seconds: ten years.
pub const MOST_SECONDS: i64 = 3650 * 86_400;

/// Deletions that one call executes; what is left follows with the next call, or with the job.
const MOST_DELETIONS: i64 = 100;

/// What the clock of a sandbox shows.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub now: Timestamp,
    /// Seconds ahead of the machine's clock.
    pub offset_seconds: i64,
}

/// # Errors
/// 409 for a live project.
pub fn read(ctx: &Ctx) -> Result<Shown> {
    require(ctx)?;
    Ok(Shown { now: ctx.now, offset_seconds: ctx.project.clock_offset })
}

/// What has come to pass by then.
#[derive(Debug, Serialize)]
pub struct Advanced {
    #[serde(flatten)]
    pub shown: Shown,
    /// Scheduled deletions whose day had come.
    pub deletions_executed: usize,
}

/// How a clock is moved: it never goes back.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    /// Seconds forwards.
    By(i64),
    /// To a moment that is yet to come, or at most a second past it.
    To(Timestamp),
}

/// Moves the clock, and does what is due by then.
///
/// # Errors
/// `invalid_request` naming the bound; 409 for a live project, and for a moment that has passed or lies too far ahead.
pub async fn advance(ctx: &Ctx, actor: &Actor, by: Move) -> Result<Advanced> {
    require(ctx)?;
    if let Move::By(seconds) = by
        && !(1..=MOST_SECONDS).contains(&seconds)
    {
        let bound = format!("advance_seconds must lie between 1 and {MOST_SECONDS}");
        return Err(Error::invalid_field("advance_seconds", bound));
    }
    let detail = match by {
        Move::By(seconds) => json!({"seconds": seconds}),
        Move::To(moment) => json!({"to": moment}),
    };
    ctx.app
        .db
        .unit(|conn| {
            let detail = detail.clone();
            async move {
                set(&conn, ctx, by).await?;
                let target = target(ctx);
                let event = actor.did("sandbox.clock_advanced", &target).with(detail);
                audit::append(&conn, ctx.project.id, ctx.now, &event).await
            }
        })
        .await?;
    let later = Visit::of_nobody(&ctx.app, ctx.project.id, ctx.wall).current().await?;
    let deletions_executed = execute_deletions(&later).await?;
    Ok(Advanced { shown: read(&later)?, deletions_executed })
}

/// Once for all nodes: of two that set it at once, the later moment stays.
async fn set(conn: &Conn, ctx: &Ctx, by: Move) -> Result<()> {
    let (project, wall) = (ctx.project.id, ctx.wall);
    match by {
        Move::By(seconds) => {
            let moved = sandbox::advance(conn, project, wall, seconds, MOST_SECONDS).await?;
            if moved == 0 { Err(too_far().with_field("advance_seconds")) } else { Ok(()) }
        }
        Move::To(moment) => {
            // Whole seconds, rounded up, so that the moment has come.
            let ahead = -wall.seconds_since(moment);
            if ahead > MOST_SECONDS {
                return Err(too_far().with_field("now"));
            }
            let moved = sandbox::set_ahead(conn, project, wall, ahead).await?;
            let past = || conflict("the clock shows a later time, and never goes back").with_field("now");
            if moved == 0 { Err(past()) } else { Ok(()) }
        }
    }
}

fn too_far() -> Error {
    conflict("the clock would be more than ten years ahead; make another sandbox")
}

/// Now, and not when the job comes round.
async fn execute_deletions(ctx: &Ctx) -> Result<usize> {
    let due = |conn| async move {
        deletions_due::list_of_project(&conn, ctx.project.id, ctx.now, MOST_DELETIONS).await
    };
    let mut executed = 0;
    for due in ctx.app.db.read(due).await? {
        executed += usize::from(execute_due(ctx, due.id).await?);
    }
    Ok(executed)
}
