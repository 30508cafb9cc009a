//! `migrate`: the schema.

use clap::Args;

use super::open;
use crate::config::{Config, MasterKey, Sources};
use crate::store::db::Db;

#[derive(Args)]
#[command(after_help = "\
Examples:
  tessera migrate             applies what is pending; several at once take their turns
  tessera migrate --check     changes nothing; exits 1 when something is pending")]
pub struct Migrate {
    /// Only tell whether migrations are pending: exit code 0 when none is, 1 otherwise.
    #[arg(long)]
    check: bool,
}

pub async fn run(migrate: &Migrate, sources: &Sources) -> anyhow::Result<()> {
    let config = Config::load(sources, MasterKey::Optional)?;
    if migrate.check {
        refuse_pending(&open::open(&config).await?).await?;
    } else {
        open::open_or_make(&config).await?.migrate().await?;
    }
    println!("the schema is up to date");
    Ok(())
}

/// Brings the schema up to date before serving, or insists that it is.
pub async fn at_start(db: &Db, no_migrate: bool) -> anyhow::Result<()> {
    if no_migrate { refuse_pending(db).await } else { Ok(db.migrate().await?) }
}

async fn refuse_pending(db: &Db) -> anyhow::Result<()> {
    match db.pending_migrations().await? {
        0 => Ok(()),
        1 => anyhow::bail!("1 migration is pending: run `tessera migrate`"),
        pending => anyhow::bail!("{pending} migrations are pending: run `tessera migrate`"),
    }
}
