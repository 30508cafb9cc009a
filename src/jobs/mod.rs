//! Work that nobody waits for: jobs that run by the clock, each on whichever node comes first.
//!
//! A job is one row in the store. A node takes it with one conditional update for as long as [`LEASE_SECONDS`], works in
//! small steps that are safe to repeat, and writes down how it went. A node that died holds nothing for longer than that.
//!
//! A new job: its variant in [`Job`], and a file with what it does.

mod audit_checkpoints;
mod bulk_deletions;
mod clean_up;
mod deletions;
mod delivery;
mod endings;
mod key_rotation;
mod letters;
mod logout_token;
pub mod outbox;
mod project_rows;
mod retention;
mod runner;
mod shares;
mod webhook;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::watch;

pub use self::runner::{Runner, start};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::jobs::{self, JobRow};

/// How long a node holds a job. Longer than a run with its last step may take, so that nodes whose clocks differ do not
/// meet; and how long a job rests when its node has died.
pub const LEASE_SECONDS: i64 = 300;

/// A run begins no further step after this time; what is left waits for the next one.
const BUDGET: Duration = Duration::from_secs(60);

/// The longest pause after failures.
const LONGEST_PAUSE_SECONDS: i64 = 3600;

/// What runs by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Delivers what waits in the outbox.
    Outbox,
    /// Owes the logout tokens of clients and projects that ended as a whole.
    Endings,
    /// Executes deletions whose restore window has ended.
    Deletions,
    /// Deletes the users of confirmed deletions of many.
    BulkDeletions,
    /// Removes what has ended.
    CleanUp,
    /// Prepares, promotes and removes signing keys.
    KeyRotation,
    /// Removes the rows of deleted projects.
    ProjectRows,
    /// Signs the ends of the audit chains.
    AuditCheckpoints,
    /// Lets go of what projects keep for a time of their own.
    Retention,
}

impl Job {
    pub const ALL: [Self; 9] = [
        Self::Outbox,
        Self::Endings,
        Self::Deletions,
        Self::BulkDeletions,
        Self::CleanUp,
        Self::KeyRotation,
        Self::ProjectRows,
        Self::AuditCheckpoints,
        Self::Retention,
    ];

    /// The name of its row.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Endings => "endings",
            Self::Deletions => "deletions",
            Self::BulkDeletions => "bulk_deletions",
            Self::CleanUp => "clean_up",
            Self::KeyRotation => "key_rotation",
            Self::ProjectRows => "project_rows",
            Self::AuditCheckpoints => "audit_checkpoints",
            Self::Retention => "retention",
        }
    }

    /// Seconds from the end of a run to the next one.
    pub const fn interval(self) -> i64 {
        match self {
            Self::Outbox | Self::Endings | Self::BulkDeletions => 5,
            Self::Deletions => 60,
            Self::CleanUp
            | Self::KeyRotation
            | Self::ProjectRows
            | Self::AuditCheckpoints
            | Self::Retention => 600,
        }
    }

    /// Each is large, and need not be on the stack of whoever polls it.
    fn work(self, run: &Run) -> BoxFuture<'_, Result<Done>> {
        match self {
            Self::Outbox => delivery::deliver(run).boxed(),
            Self::Endings => endings::tell(run).boxed(),
            Self::Deletions => deletions::delete(run).boxed(),
            Self::BulkDeletions => bulk_deletions::delete(run).boxed(),
            Self::CleanUp => clean_up::clean_up(run).boxed(),
            Self::KeyRotation => key_rotation::rotate(run).boxed(),
            Self::ProjectRows => project_rows::remove(run).boxed(),
            Self::AuditCheckpoints => audit_checkpoints::sign(run).boxed(),
            Self::Retention => retention::let_go(run).boxed(),
        }
    }
}

/// A run that ended well.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// What operators read: numbers, never names.
    summary: String,
    /// There is more to do than the budget allowed.
    more: bool,
}

/// One run of a job: what it works with, and when it has to end.
struct Run {
    app: Arc<App>,
    begun: Instant,
    stop: watch::Receiver<bool>,
}

impl Run {
    /// Whether a further step may begin. One that has begun is finished.
    fn may_go_on(&self) -> bool {
        !*self.stop.borrow() && self.begun.elapsed() < BUDGET
    }
}

/// How a run ended: what its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub job: Job,
    /// `ok: …` or `failed: …`.
    pub text: String,
}

/// Runs every job that is due by the app's clock and that no other node holds, and tells how each of them ended.
///
/// # Errors
/// The store is away. What a job itself fails at is its outcome.
pub async fn run_due(app: &Arc<App>) -> Result<Vec<Outcome>> {
    let (_never, stop) = watch::channel(false);
    // Each is large, and the array of them would be copied from frame to frame.
    let runs = Job::ALL.map(|job| run_if_due(app, job, &stop).boxed());
    let outcomes: Vec<_> = join_all(runs).await.into_iter().collect::<Result<_>>()?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Runs one job if it is due and no other node has it; `stop` lets the step under way finish and begins no other.
///
/// # Errors
/// The store is away.
pub async fn run_now(app: &Arc<App>, job: Job, stop: &watch::Receiver<bool>) -> Result<Option<Outcome>> {
    run_if_due(app, job, stop).await
}

/// The last run of each job.
pub async fn list(app: &App) -> Result<Vec<JobRow>> {
    app.db.read(|conn| async move { jobs::list(&conn).await }).await
}

/// Runs one job if it is due and free. `None`: not due, or another node has it.
async fn run_if_due(app: &Arc<App>, job: Job, stop: &watch::Receiver<bool>) -> Result<Option<Outcome>> {
    let now = app.clock.now();
    let row = app.db.read(|conn| async move { jobs::find(&conn, job.name()).await }).await?;
    match row {
        Some(row) if row.next_run_at > now || row.lease_until.is_some_and(|until| until > now) => {
            return Ok(None);
        }
        Some(_) => {}
        None => {
            app.db.write(|conn| async move { jobs::insert(&conn, now, job.name()).await }).await?;
        }
    }
    let lease = app.entropy.token("")?;
    let (token, until) = (lease.expose(), now.plus_seconds(LEASE_SECONDS));
    let taken =
        app.db.write(|conn| async move { jobs::lease(&conn, now, job.name(), token, until).await }).await?;
    let Some(taken) = taken else { return Ok(None) };
    let run = Run { app: Arc::clone(app), begun: Instant::now(), stop: stop.clone() };
    // A panic is a failed run, not the end of all further ones.
    // In a box: whoever runs all of them at once has the stack of one.
    let result = AssertUnwindSafe(Box::pin(job.work(&run))).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(Error::internal("the job panicked")));
    let (text, failures, pause) = judge(job, taken.failures, &result);
    let (now, said) = (app.clock.now(), text.as_str());
    let next = (failures, now.plus_seconds(pause));
    let finish = |conn| async move { jobs::finish(&conn, now, job.name(), token, said, next).await };
    if app.db.write(finish).await? == 0 {
        tracing::warn!(job = job.name(), "the run took longer than its lease, and another node took the job");
    }
    Ok(Some(Outcome { job, text }))
}

/// What the row says, the failures in a row, and the seconds until the next run.
fn judge(job: Job, failures: i64, result: &Result<Done>) -> (String, i64, i64) {
    match result {
        Ok(done) => {
            tracing::debug!(job = job.name(), summary = done.summary, "a job ran");
            (format!("ok: {}", done.summary), 0, if done.more { 0 } else { job.interval() })
        }
        Err(error) => {
            let failures = failures + 1;
            let cause = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
            tracing::error!(job = job.name(), failures, code = error.code().as_str(), cause, "a job failed");
            // The cause may quote what it stumbled over, so the row gets the code alone.
            (format!("failed: {}", error.code().as_str()), failures, pause_after(job, failures))
        }
    }
}

/// Doubles with each failure in a row.
fn pause_after(job: Job, failures: i64) -> i64 {
    let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(20);
    (job.interval() << doublings).min(LONGEST_PAUSE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let pauses = [1, 2, 3, 10, 1_000_000].map(|failures| pause_after(Job::Outbox, failures));
        assert_eq!(pauses, [10, 20, 40, 3600, 3600]);
        assert_eq!(pause_after(Job::CleanUp, 1), 1200);
    }
}
