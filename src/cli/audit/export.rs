//! `audit export`, `audit checkpoint` and `audit cut`.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::super::common::{Common, context};
use super::super::open::Place;
use crate::audit::{self, Actor, MOST_LINES};
use crate::config::Sources;
use crate::ids::ProjectId;

#[derive(Args)]
pub struct Export {
    /// Slug or id of the project; a deleted one by its id.
    #[arg(long, value_name = "SLUG", required_unless_present = "instance")]
    project: Option<String>,
    /// The chain of the instance itself: what belongs to no project.
    #[arg(long, conflicts_with = "project")]
    instance: bool,
    /// Goes on after this number.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    place: Place,
}

pub async fn run(command: &Export, sources: Sources) -> anyhow::Result<()> {
    let db = super::store(&command.place, sources).await?;
    let project = match &command.project {
        Some(name) => super::find(&db, name).await?,
        None => ProjectId::INSTANCE,
    };
    let (mut after, mut out) = (command.after, std::io::stdout().lock());
    loop {
        let page = audit::export(&db, project, after, MOST_LINES).await?;
        out.write_all(page.text.as_bytes())?;
        match page.last.filter(|_| page.more) {
            Some(last) => after = last,
            None => return Ok(out.flush()?),
        }
    }
}

/// Without a project, of the instance.
pub async fn checkpoint(project: Option<&str>, common: &Common, sources: Sources) -> anyhow::Result<()> {
    let app = common.app(sources).await?;
    let (chain, now) = match project {
        Some(project) => {
            let ctx = context(&app, project).await?;
            (ctx.project.id, ctx.now)
        }
        None => (ProjectId::INSTANCE, app.clock.now()),
    };
    let made = audit::checkpoint::make(&app, chain, now).await?;
    let (row, _) = made.context("there is no key to sign with, or nothing to sign")?;
    Ok(writeln!(std::io::stdout(), "{}", row.jws)?)
}

pub async fn cut(project: &str, common: &Common, sources: Sources) -> anyhow::Result<()> {
    let app = common.app(sources).await?;
    let ctx = context(&app, project).await?;
    let days = ctx.project.settings.retention.audit_days;
    let days =
        days.context("the project keeps its log for good: settings.retention.audit_days is not set")?;
    let moments = (ctx.now, ctx.now.plus_seconds(-days * 86_400));
    let (cut, _) = audit::cut(&app, ctx.project.id, &Actor::command_line(), moments, || true).await?;
    Ok(writeln!(std::io::stdout(), "{cut} entries cut")?)
}
