//! Lets go of what each project keeps for a time of its own: sign-in events, ended sessions, codes, the beginning of its audit
//! log.

use std::fmt::Write;

use super::{Done, Run};
use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::model::project::ProjectSettings;
use crate::model::retention::{MOST_CODES_HOURS, MOST_DEAD_SESSIONS_DAYS, Retention};
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::retention::{self, Kept};
use crate::store::{deletion_guards, events, expired};

/// Projects looked at with one statement.
const PAGE: i64 = 200;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[derive(Default)]
struct Tally {
    events: u64,
    families: u64,
    codes: u64,
    entries: u64,
    /// Projects whose log the database does not let us cut.
    refused: u64,
    /// Projects whose log stays whole because somebody is under a legal hold.
    held: u64,
    more: bool,
    failure: Option<Error>,
}

/// One project that fails does not keep the others waiting.
pub(super) async fn let_go(run: &Run) -> Result<Done> {
    let now = run.app.clock.now();
    let (mut tally, mut after) = (Tally::default(), ProjectId::INSTANCE);
    loop {
        let page = run.app.db.read(|conn| async move { retention::page(&conn, after, PAGE).await }).await?;
        let Some(last) = page.last() else { return tally.done() };
        after = last.id;
        for kept in &page {
            if !run.may_go_on() {
                tally.more = true;
                return tally.done();
            }
            if let Err(error) = of_project(run, kept, now, &mut tally).await {
                tracing::error!(project = %kept.id, code = error.code().as_str(), "not let go of");
                tally.failure.get_or_insert(error);
            }
        }
    }
}

async fn of_project(run: &Run, kept: &Kept, now: Timestamp, tally: &mut Tally) -> Result<()> {
    // What a sandbox keeps has the time of its own clock.
    let now = now.plus_seconds(kept.clock_offset);
    let settings: ProjectSettings = serde_json::from_str(&kept.settings).map_err(Error::internal)?;
    let Retention { audit_days, sign_in_events_days, dead_sessions_days, codes_hours } = settings.retention;
    let (project, end) = (kept.id, |days: i64| now.plus_seconds(-days * DAY));
    let is_due = |oldest: Option<Timestamp>, days| oldest.is_some_and(|oldest| oldest < end(days));
    if is_due(kept.oldest_event, sign_in_events_days) {
        let end = end(sign_in_events_days);
        let delete = |conn: Conn| async move { events::delete_before(&conn, project, end).await };
        tally.events += in_batches(run, delete).await?;
    }
    if codes_hours < MOST_CODES_HOURS {
        let end = now.plus_seconds(-codes_hours * HOUR);
        let delete = |conn: Conn| async move { retention::delete_dead_codes(&conn, project, end).await };
        tally.codes += in_batches(run, delete).await?;
    }
    if dead_sessions_days < MOST_DEAD_SESSIONS_DAYS {
        let end = end(dead_sessions_days);
        let delete = |conn: Conn| async move { retention::delete_dead_families(&conn, project, end).await };
        tally.families += in_batches(run, delete).await?;
    }
    if let Some(days) = audit_days.filter(|days| is_due(kept.oldest_entry, *days)) {
        // A log is cut as a whole, and what it says of whoever must be kept is kept.
        let is_any_held = |conn: Conn| async move { deletion_guards::is_any_held(&conn, project).await };
        if run.app.db.read(is_any_held).await? {
            tally.held += 1;
            return Ok(());
        }
        let moments = (now, end(days));
        let actor = Actor::system("retention");
        let cut = audit::cut(&run.app, project, &actor, moments, || run.may_go_on());
        match Box::pin(cut).await {
            Ok((cut, more)) => (tally.entries, tally.more) = (tally.entries + cut, tally.more | more),
            Err(error) if error.is_not_permitted() => tally.refused += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Deletes until a batch is not full, or the job has to stop.
async fn in_batches<Fut>(run: &Run, delete: impl Fn(Conn) -> Fut + Sync) -> Result<u64>
where
    Fut: Future<Output = Result<u64>> + Send,
{
    let mut deleted = 0;
    while run.may_go_on() {
        let batch = run.app.db.unit(&delete).await?;
        deleted += batch;
        if batch < expired::BATCH {
            break;
        }
    }
    Ok(deleted)
}

impl Tally {
    fn done(self) -> Result<Done> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let Self { events, families, codes, entries, refused, held, .. } = self;
        let mut summary = format!(
            "removed {events} events, {families} token_families, {codes} authorization_codes, {entries} audit_log entries"
        );
        if held > 0 {
            write!(summary, "; {held} audit logs stay whole, because somebody is under a legal hold")
                .map_err(Error::internal)?;
        }
        if refused > 0 {
            write!(summary, "; the database role may not cut {refused} audit logs, see docs/audit.md")
                .map_err(Error::internal)?;
        }
        Ok(Done { summary, more: self.more })
    }
}
