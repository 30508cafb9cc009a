//! Faults on demand: what happens to real servers now and then happens to the next requests of a sandbox, when a tester wants
//! it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{require, target};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict};
use crate::store::projects;
use crate::store::sandbox::{self, FaultRow};

/// The longest delay, in milliseconds. A client's own limit is usually shorter.
const MOST_DELAY_MS: i64 = 10_000;
const MOST_TIMES: i64 = 1000;
/// Faults that one sandbox has at a time.
const MOST_FAULTS: i64 = 20;

/// Stands for every endpoint.
const ANY: &str = "*";

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 503 with `Retry-After`, and nothing has happened.
    Unavailable,
    /// Everything has happened, and the connection ends without an answer.
    LoseResponse,
    /// The answer takes its time.
    Delay,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Unavailable, Self::LoseResponse, Self::Delay];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::LoseResponse => "lose_response",
            Self::Delay => "delay",
        }
    }
}

/// What is asked for.
pub struct NewFault {
    /// The route under the project as the documentation writes it, such as `api/refresh`; `*`: every one.
    pub endpoint: String,
    pub kind: Kind,
    /// Of a delay: milliseconds.
    pub delay_ms: Option<i64>,
    /// Requests that it strikes; one, if it is left out.
    pub times: Option<i64>,
}

/// Arms a fault for the next requests.
///
/// # Errors
/// `invalid_request` naming the field and the bound; 409 for a live project, and beside twenty others.
pub async fn arm(ctx: &Ctx, actor: &Actor, new: NewFault) -> Result<FaultRow> {
    require(ctx)?;
    let fault = FaultRow {
        id: ctx.app.entropy.id(ctx.wall)?,
        delay_ms: delay_of(&new)?,
        remaining: new.times.unwrap_or(1),
        kind: new.kind.as_str().into(),
        endpoint: new.endpoint,
        created_at: ctx.wall,
    };
    if !(1..=MOST_TIMES).contains(&fault.remaining) {
        return Err(Error::invalid_field("times", format!("times must lie between 1 and {MOST_TIMES}")));
    }
    let made = &fault;
    ctx.app
        .db
        .unit(|conn| async move {
            // The project's row is held, or two at once would both be the last one.
            projects::raise_version(&conn, ctx.project.id, ctx.wall).await?;
            if sandbox::insert_fault(&conn, ctx.project.id, made, MOST_FAULTS).await? == 0 {
                return Err(conflict(format!("a sandbox has at most {MOST_FAULTS} faults at a time")));
            }
            let target = target(ctx);
            let detail = json!({"endpoint": made.endpoint, "kind": made.kind, "times": made.remaining});
            let event = actor.did("sandbox.fault_armed", &target).with(detail);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await
        })
        .await?;
    Ok(fault)
}

fn delay_of(new: &NewFault) -> Result<i64> {
    let bound = format!("delay_ms must lie between 1 and {MOST_DELAY_MS}");
    match (new.kind, new.delay_ms) {
        (Kind::Delay, Some(delay)) if (1..=MOST_DELAY_MS).contains(&delay) => Ok(delay),
        (Kind::Delay, _) => Err(Error::invalid_field("delay_ms", bound)),
        (_, None) => Ok(0),
        (_, Some(_)) => Err(Error::invalid_field("delay_ms", "delay_ms is for the kind delay alone")),
    }
}

/// # Errors
/// 409 for a live project.
pub async fn list(ctx: &Ctx) -> Result<Vec<FaultRow>> {
    require(ctx)?;
    ctx.app.db.read(|conn| async move { sandbox::list_faults(&conn, ctx.project.id).await }).await
}

/// Takes all of them back; gives how many there were.
///
/// # Errors
/// 409 for a live project.
pub async fn disarm(ctx: &Ctx, actor: &Actor) -> Result<u64> {
    require(ctx)?;
    ctx.app
        .db
        .unit(|conn| async move {
            let gone = sandbox::delete_faults(&conn, ctx.project.id).await?;
            let target = target(ctx);
            let event = actor.did("sandbox.faults_disarmed", &target).with(json!({"faults": gone}));
            audit::append(&conn, ctx.project.id, ctx.now, &event).await?;
            Ok(gone)
        })
        .await
}

/// A request that a fault may strike, once.
pub struct Hazard {
    /// The route under the project.
    endpoint: String,
    was_asked: AtomicBool,
    /// Tells the connection to keep the answer for itself.
    lose: Option<Arc<AtomicBool>>,
}

impl Hazard {
    pub fn new(endpoint: String, lose: Option<Arc<AtomicBool>>) -> Self {
        Self { endpoint, was_asked: AtomicBool::new(false), lose }
    }
}

/// What the next fault for this request does to it. Of several, the oldest strikes.
///
/// # Errors
/// The store is away, or shall seem so.
pub async fn strike(ctx: &Ctx, hazard: &Hazard) -> Result<()> {
    if hazard.was_asked.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let faults = ctx.app.db.read(|conn| async move { sandbox::list_faults(&conn, ctx.project.id).await });
    let is_for = |fault: &FaultRow| fault.endpoint == ANY || fault.endpoint == hazard.endpoint;
    let Some(fault) = faults.await?.into_iter().find(is_for) else { return Ok(()) };
    let id = fault.id;
    let struck = |conn| async move { sandbox::use_fault(&conn, ctx.project.id, id).await };
    if ctx.app.db.write(struck).await? == 0 {
        return Ok(());
    }
    match Kind::ALL.into_iter().find(|kind| kind.as_str() == fault.kind) {
        Some(Kind::Unavailable) => Err(Error::unavailable(1, "a fault of the sandbox")),
        Some(Kind::LoseResponse) => {
            if let Some(lose) = &hazard.lose {
                lose.store(true, Ordering::Release);
            }
            Ok(())
        }
        Some(Kind::Delay) => {
            let delay = u64::try_from(fault.delay_ms).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(delay)).await;
            Ok(())
        }
        // A newer node armed it.
        None => Ok(()),
    }
}
