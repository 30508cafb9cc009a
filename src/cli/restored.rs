//! `restored`: to be run after a backup was restored, or after a failover that may have lost commits.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::{migrate, open, serve};
use crate::config::{Config, MasterKey, Sources};
use crate::ledger::replay::{Report, restored};
use crate::telemetry;

#[derive(Args)]
#[command(after_help = "\
Run it before the nodes serve again, with the settings of `serve`. It ends every session of every project, erases again who
was erased after the backup was taken, also whole projects, and writes an audit event. It is safe to repeat.

Examples:
  tessera restored                                           with this node's copy of the erasure ledger
  tessera restored --ledger node1/erasure-ledger --ledger node2/erasure-ledger")]
pub struct Restored {
    /// A copy of the erasure ledger; may be given more than once. Without it, the one that the settings name.
    #[arg(long, value_name = "FILE")]
    ledger: Vec<PathBuf>,
    /// There is none, because nobody has ever been deleted, or because it is lost.
    #[arg(long, conflicts_with = "ledger")]
    no_ledger: bool,
}

pub async fn run(command: &Restored, sources: &Sources) -> anyhow::Result<()> {
    let mut config = Config::load(sources, MasterKey::Required)?;
    telemetry::init(&config.log)?;
    let keys = config.master_keys.take().context("the master key is missing")?;
    let ledgers = match (command.no_ledger, command.ledger.as_slice()) {
        (true, _) => Vec::new(),
        (false, []) => vec![config.erasure_ledger.clone()],
        (false, named) => named.to_vec(),
    };
    for ledger in &ledgers {
        let file = std::fs::File::open(ledger);
        file.with_context(|| format!("{} cannot be read; see --ledger and --no-ledger", ledger.display()))?;
    }
    let db = open::open(&config).await?;
    migrate::at_start(&db, false).await?;
    let app = Arc::new(serve::app(db, &config.base_url, keys, &config)?);
    let report = restored(&app, &ledgers).await?;
    app.db.close().await;
    tell(&report)
}

fn tell(report: &Report) -> anyhow::Result<()> {
    let Report { projects, lines, erased, deleted_projects, faults, postponed, called_off, set_aside } =
        report;
    println!("Every session and token of {projects} projects has ended.");
    println!("The erasure ledger has {lines} lines; {erased} users of the backup have been erased again.");
    if *deleted_projects > 0 {
        println!(
            "{deleted_projects} projects of the backup have been deleted again, with everybody in them."
        );
    }
    if let Some(file) = set_aside {
        println!(
            "This node's copy of the ledger did not fit the store and was moved to {}; a new one has been written.",
            file.display()
        );
    }
    println!("No browser is remembered any more: whoever has a second factor is asked for it.");
    println!(
        "Passwords and second factors are those of the backup: of whoever changed theirs after it because somebody else had \
         it, the old one counts again. Set a new password, and reset the factors."
    );
    println!(
        "What was revoked or disabled after the backup was taken is in force again: look at admin keys, client secrets, \
         clients and users, also at projects that were switched off and at legal holds."
    );
    if *postponed > 0 {
        println!(
            "{postponed} deletions are scheduled. They wait for a week at least: whoever objected after the backup was taken \
             has to be asked again, and what should not be deleted cancelled."
        );
    }
    if *called_off > 0 {
        println!("{called_off} deletions of many users that were under way have been called off.");
    }
    if faults.is_empty() {
        return Ok(());
    }
    anyhow::bail!("the ledger is not whole; what could be read has been applied:\n- {}", faults.join("\n- "))
}
