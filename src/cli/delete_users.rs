//! `delete-users`: many at once, from the command line. What is asked, confirmed and carried out is what the API has; beside a
//! running server, whichever comes first does the work.

mod bar;

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::watch;

use self::bar::Bar;
use super::common::{Common, context};
use super::user::find;
use crate::app::{App, Ctx};
use crate::audit::Actor;
use crate::config::Sources;
use crate::ids::BulkId;
use crate::jobs::{self, Job};
use crate::model::bulk::State;
use crate::model::project::DeletionConfirmation;
use crate::model::role::Role;
use crate::projects::confirmations;
use crate::session::delete_user::Notify;
use crate::session::delete_user::bulk::{self, Filter, MOST_LISTED, Requested, Shown, Which};

#[derive(Args)]
#[command(after_help = "\
Examples:
  tessera delete-users --project shop --file gone.txt --reason 'left the company, ticket 1234'
  tessera delete-users --project shop --inactive-since 2024-01-01T00:00:00Z --reason 'three years without a sign-in'
  tessera delete-users --project shop --group trial --reason 'the trial is over' --confirm 'delete 17 users'

Nothing is deleted before it is confirmed: here, by typing what is asked for; or, where another admin could confirm, by that
admin over the API, which this command waits for. Whoever is protected or under a legal hold stays. The work goes on in a
server when this command ends.")]
pub struct DeleteUsers {
    /// Slug or id.
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// A file with a user name or an id on each line; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "username_prefix", "created_before", "inactive_since", "group", "role"])]
    file: Option<PathBuf>,
    /// `active` or `disabled`.
    #[arg(long)]
    status: Option<String>,
    /// The beginning of the user name.
    #[arg(long, value_name = "TEXT")]
    username_prefix: Option<String>,
    /// Made before this moment (2027-01-15T08:00:00Z).
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
    /// Neither signed in nor made since this moment.
    #[arg(long, value_name = "TIME")]
    inactive_since: Option<String>,
    /// Member of this group.
    #[arg(long)]
    group: Option<String>,
    /// Holder of this role.
    #[arg(long)]
    role: Option<String>,
    /// Why; it stays in the audit log for good, so it names nobody.
    #[arg(long, required_unless_present = "cancel")]
    reason: Option<String>,
    /// Nobody is told by mail, and why.
    #[arg(long, value_name = "WHY")]
    no_notify: Option<String>,
    /// Stops the one of this id, whether it waits or runs.
    #[arg(long, value_name = "ID", conflicts_with_all = ["reason", "file", "confirm"])]
    cancel: Option<BulkId>,
    /// What confirms it, for scripts: `delete N users`, with the number that is expected.
    #[arg(long, value_name = "WORDS")]
    confirm: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// How often what the job has done is looked at.
const LOOK: Duration = Duration::from_millis(300);

pub async fn run(command: &DeleteUsers, sources: Sources) -> anyhow::Result<()> {
    let app = command.common.app(sources).await?;
    let ctx = context(&app, &command.project).await?;
    let actor = Actor::command_line();
    if let Some(id) = command.cancel {
        bulk::cancel(&ctx, &actor, id).await?;
        return command.common.show(&bulk::show(&ctx, id).await?);
    }
    let which = which(command, &ctx).await?;
    let notify =
        Notify { wanted: command.no_notify.as_ref().map(|_| false), reason: command.no_notify.as_deref() };
    let reason = command.reason.as_deref().unwrap_or_default();
    let asked = bulk::request(&ctx, &actor, which, reason, notify).await?;
    tell(&asked)?;
    if asked.confirmation.method == DeletionConfirmation::Typed.as_str() {
        let confirmed = confirm(&app, command, &actor, &asked).await;
        if confirmed.is_err() {
            // It stands in nobody's way.
            bulk::cancel(&ctx, &actor, asked.deletion_id).await.ok();
        }
        confirmed?;
    }
    let shown = follow(&app, command, asked.deletion_id).await?;
    command.common.show(&shown)?;
    anyhow::ensure!(shown.state == State::Done, "not all of them: the deletion is {}", shown.state.as_str());
    Ok(())
}

async fn confirm(
    app: &Arc<App>,
    command: &DeleteUsers,
    actor: &Actor,
    asked: &Requested,
) -> anyhow::Result<()> {
    let words = match &command.confirm {
        Some(words) => words.clone(),
        None => ask(&asked.confirmation.words)?,
    };
    let id = asked.confirmation.confirmation_id;
    // By the clock and the settings of this moment, however long somebody has thought about it.
    let ctx = &context(app, &command.project).await?;
    confirmations::confirm(ctx, actor, Role::Owner, id, Some(&words)).await?;
    Ok(())
}

async fn which(command: &DeleteUsers, ctx: &Ctx) -> anyhow::Result<Which> {
    let Some(file) = &command.file else {
        let filter = Filter {
            status: command.status.clone(),
            username_prefix: command.username_prefix.clone(),
            created_before: command.created_before.clone(),
            inactive_since: command.inactive_since.clone(),
            group: command.group.clone(),
            role: command.role.clone(),
        };
        return Ok(Which::Matching(filter.matching()?));
    };
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(stdin())?,
        _ => std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
    };
    let names: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    anyhow::ensure!(names.len() <= MOST_LISTED, "a list has at most {MOST_LISTED} users");
    let mut users = Vec::new();
    for name in names {
        users.push(find(ctx, name).await.with_context(|| name.to_owned())?);
    }
    Ok(Which::Listed(users))
}

/// What would end, on standard error: standard output is for the result.
fn tell(asked: &Requested) -> anyhow::Result<()> {
    let (impact, confirmation) = (&asked.impact, &asked.confirmation);
    let mut out = stderr();
    writeln!(
        out,
        "{} users, {} sessions of applications, {} of browsers; {} under a legal hold, {} protected, {} with a deletion of \
         their own, {} not found",
        impact.users,
        impact.families,
        impact.browser_sessions,
        impact.legal_hold,
        impact.deletion_protection,
        impact.open,
        impact.not_found
    )?;
    if confirmation.method != DeletionConfirmation::Typed.as_str() {
        writeln!(
            out,
            "another admin has to confirm until {}: POST /admin/projects/…/confirmations/{}",
            confirmation.expires_at, confirmation.confirmation_id
        )?;
    }
    Ok(())
}

fn ask(words: &str) -> anyhow::Result<String> {
    anyhow::ensure!(stdin().is_terminal(), "nobody is there to confirm it: --confirm '{words}'");
    write!(stderr(), "To confirm, type: {words}\n> ")?;
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Works beside whoever else does, and shows how far it is, until nobody waits any more or somebody interrupts.
async fn follow(app: &Arc<App>, command: &DeleteUsers, id: BulkId) -> anyhow::Result<Shown> {
    let (stop, stopped) = watch::channel(false);
    let work = async {
        while !*stopped.borrow() {
            jobs::run_now(app, Job::BulkDeletions, &stopped).await?;
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    let look = async {
        let shown = tokio::select! {
            shown = until_closed(app, &command.project, id) => shown,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted; what was confirmed goes on in a server")),
        };
        // The user at whom the work is comes to an end, and the job is given back.
        stop.send_replace(true);
        shown
    };
    let (worked, shown) = tokio::join!(work, look);
    worked?;
    shown
}

async fn until_closed(app: &Arc<App>, project: &str, id: BulkId) -> anyhow::Result<Shown> {
    let mut bar = Bar::new();
    loop {
        // By the clock of this moment: what nobody confirms in time expires.
        let ctx = context(app, project).await?;
        let shown = bulk::show(&ctx, id).await?;
        bar.show(&shown);
        if !matches!(shown.state, State::Pending | State::Running) {
            bar.end();
            return Ok(shown);
        }
        tokio::time::sleep(LOOK).await;
    }
}
