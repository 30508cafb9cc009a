//! After a backup was restored: everything granted before ends, and who was erased since the backup is erased again, with the
//! projects that were deleted.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::file::{Copied, blocking, copy, set_aside};
use super::line::BEGINNING;
use super::{Erased, Line, append, mark};
use crate::app::{App, Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Code, Result};
use crate::ids::ProjectId;
use crate::projects as deciding;
use crate::session::delete_user::{self, bulk};
use crate::store::bulk_deletions::{self, Running};
use crate::store::db::Conn;
use crate::store::{clients, deletions_due, erasures, projects, remembered_devices};

/// Projects whose epochs rise in one unit.
const BATCH: i64 = 500;

/// Lines read at a time.
const LINES: usize = 500;

/// So long do operators have to look at what is scheduled, in seconds: a week.
pub const LOOK_SECONDS: i64 = 7 * 86_400;

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Projects whose epoch was raised.
    pub projects: u64,
    /// Lines of the ledger that are signed as they should be.
    pub lines: u64,
    /// People who were in the backup and are erased again.
    pub erased: u64,
    /// Projects that were in the backup and are deleted again.
    pub deleted_projects: u64,
    /// Lines that were not applied, or that are missing; the rest has been applied nevertheless.
    pub faults: Vec<String>,
    /// Scheduled deletions that wait for [`LOOK_SECONDS`] more: what had cancelled or held one may be gone.
    pub postponed: u64,
    /// Deletions of many that were under way, and are no longer.
    pub called_off: u64,
    /// Where the node's own file went, if it did not fit the store any more.
    pub set_aside: Option<PathBuf>,
}

/// Raises the epoch of every project and the version of every client, replays ledgers, and writes an audit event. Safe to repeat.
///
/// # Errors
/// The store is away, or a file cannot be read.
pub async fn restored(app: &Arc<App>, ledgers: &[PathBuf]) -> Result<Report> {
    let mut report = Report { projects: raise_epochs(app).await?, ..Report::default() };
    // One of them may have been forgotten since, as a stolen one is.
    while app.db.write(|conn| async move { remembered_devices::delete_batch(&conn).await }).await? > 0 {}
    for ledger in ledgers {
        replay_file(app, ledger, &mut report).await?;
    }
    if let (Some(path), Copied::Differs(_)) = (&app.erasure_ledger, copy(app).await?) {
        report.set_aside = Some(set_aside(path, app.clock.now().micros()).await?);
        copy(app).await?;
    }
    report.postponed = postpone(app).await?;
    report.called_off = call_off(app).await?;
    mark::tell(app).await?;
    let detail = json!({
        "projects": report.projects, "ledger_lines": report.lines, "erased": report.erased,
        "projects_deleted": report.deleted_projects, "faults": report.faults.len(), "deletions_postponed": report.postponed,
        "bulk_deletions_called_off": report.called_off,
    });
    let (actor, detail) = (&Actor::command_line(), &detail);
    app.db
        .unit(|conn| async move {
            let event = actor.did("instance.restored", "instance").with(detail.clone());
            audit::append(&conn, ProjectId::INSTANCE, app.clock.now(), &event).await
        })
        .await?;
    Ok(report)
}

async fn raise_epochs(app: &App) -> Result<u64> {
    let (mut raised, mut last) = (0, ProjectId::INSTANCE);
    loop {
        let now = app.clock.now();
        let batch = app.db.read(|conn| async move { projects::list_ids(&conn, last, BATCH).await }).await?;
        let Some(end) = batch.last().copied() else { return Ok(raised) };
        raised += app
            .db
            .unit(|conn| async move {
                let raised = projects::raise_epochs(&conn, last, end, now).await?;
                clients::raise_versions(&conn, last, end, now).await?;
                Ok(raised)
            })
            .await?;
        last = end;
    }
}

/// After the replay, so that who was erased is not among them. A sandbox's clock may be ahead; nothing is lost there.
async fn postpone(app: &App) -> Result<u64> {
    let (mut postponed, mut last) = (0, ProjectId::INSTANCE);
    let (now, until) = (app.clock.now(), app.clock.now().plus_seconds(LOOK_SECONDS));
    loop {
        let list = |conn| async move { deletions_due::list_projects(&conn, last, BATCH).await };
        let page = app.db.read(list).await?;
        let Some(&(end,)) = page.last() else { return Ok(postponed) };
        for (project,) in page {
            let unit = |conn: Conn| async move {
                let postponed = deletions_due::postpone(&conn, project, until).await?;
                if postponed > 0 {
                    let target = format!("project:{project}");
                    let detail = json!({"deletions": postponed, "until": until});
                    let actor = Actor::command_line();
                    let event = actor.did("project.deletions_postponed", &target).with(detail);
                    audit::append(&conn, project, now, &event).await?;
                }
                Ok(postponed)
            };
            postponed += app.db.unit(unit).await?;
        }
        last = end;
    }
}

/// What was under way when the backup was taken ended long ago, one way or the other: whoever is left is asked about anew.
async fn call_off(app: &Arc<App>) -> Result<u64> {
    let (mut called_off, actor) = (0, &Actor::command_line());
    loop {
        let running =
            app.db.read(|conn| async move { bulk_deletions::list_running(&conn, BATCH).await }).await?;
        if running.is_empty() {
            return Ok(called_off);
        }
        for Running { project_id, id } in running {
            let ctx = Visit::of_nobody(app, project_id, app.clock.now()).current().await?;
            bulk::cancel(&ctx, actor, id).await?;
            called_off += 1;
        }
    }
}

async fn replay_file(app: &Arc<App>, path: &Path, report: &mut Report) -> Result<()> {
    let owned = path.to_owned();
    let mut reader = blocking(move || File::open(owned).map(BufReader::new)).await?;
    let (mut number, mut before) = (0, None);
    loop {
        let (rest, texts) = blocking(move || read_some(reader)).await?;
        reader = rest;
        if texts.is_empty() {
            return Ok(());
        }
        for text in texts {
            number += 1;
            let place = format!("{}, line {number}", path.display());
            let line = match Line::read(&app.master_keys, &text) {
                Ok(line) => line,
                Err(why) => {
                    report.faults.push(format!("{place} {why}"));
                    continue;
                }
            };
            if !follows(&line, before.as_ref()) {
                report.faults.push(format!("{place} does not follow the line before it: lines are missing"));
            }
            report.lines += 1;
            let erased = u64::from(replay_line(app, &line).await?);
            match line.erased {
                Erased::User { .. } => report.erased += erased,
                Erased::Project { .. } => report.deleted_projects += erased,
            }
            before = Some(line);
        }
    }
}

/// The next lines; none at the end. The last line may be torn, and then fails to read.
fn read_some(mut reader: BufReader<File>) -> std::io::Result<(BufReader<File>, Vec<String>)> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while lines.len() < LINES && reader.read_until(b'\n', &mut line)? > 0 {
        lines.push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
        line.clear();
    }
    Ok((reader, lines))
}

/// Nodes that share a file may write a line twice.
fn follows(line: &Line, before: Option<&Line>) -> bool {
    match before {
        None => line.prev == BEGINNING,
        Some(before) => line == before || (line.seq == before.seq + 1 && line.prev == before.mac),
    }
}

/// Erases the person or the project again if the backup has brought them back; gives whether it had.
async fn replay_line(app: &Arc<App>, line: &Line) -> Result<bool> {
    let now = app.clock.now();
    let project = line.erased.project();
    let visit = Visit::of_nobody(app, project, now);
    let ctx = match visit.current().await {
        Ok(ctx) => Some(ctx),
        // Made after the backup, or deleted since.
        Err(error) if error.code() == Code::NotFound => None,
        Err(error) => return Err(error),
    };
    let ctx = ctx.as_ref();
    let erased = app.db.unit(|conn| async move { erase_again(&conn, app, ctx, line).await }).await?;
    if let (true, Erased::User { user, .. }) = (erased, line.erased) {
        delete_user::sweep(app, project, user).await?;
    }
    Ok(erased)
}

async fn erase_again(conn: &Conn, app: &App, ctx: Option<&Ctx>, line: &Line) -> Result<bool> {
    let erased = match (ctx, line.erased) {
        (None, _) => false,
        (Some(ctx), Erased::User { user, deletion, .. }) => {
            delete_user::erase_again(conn, ctx, user, deletion).await?
        }
        (Some(ctx), Erased::Project { .. }) => deciding::delete_again(ctx, conn).await?,
    };
    let head = erasures::head(conn).await?;
    let (seq, mac) = head.as_ref().map_or((0, BEGINNING), |head| (head.seq, head.mac.as_str()));
    if line.seq == seq + 1 && line.prev == mac {
        // The ledger goes on where the backup ends, so that the files of all nodes still fit.
        erasures::raise_head(conn).await?;
        erasures::insert(conn, line.seq, &line.text, &line.mac).await?;
    } else if erasures::find(conn, line.seq).await?.as_ref() != Some(&line.text) {
        // The store went on without it: it gets a new number.
        append(conn, &app.master_keys, app.clock.now(), &line.erased).await?;
    }
    match (ctx.filter(|_| erased), line.erased) {
        (None, _) => {}
        (Some(ctx), Erased::User { user, deletion, .. }) => {
            delete_user::record_again(conn, ctx, line, user, deletion).await?;
        }
        (Some(ctx), Erased::Project { confirmation, .. }) => {
            deciding::record_again(ctx, conn, line, confirmation).await?;
        }
    }
    Ok(erased)
}
