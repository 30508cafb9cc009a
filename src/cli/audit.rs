//! `audit verify`: recomputes the hash chains.

use clap::Subcommand;

use super::open::{self, Place};
use crate::audit::{Verdict, next_chain, verify};
use crate::config::{Config, MasterKey, Sources};
use crate::ids::ProjectId;
use crate::store::db::Db;
use crate::store::projects;

#[derive(Subcommand)]
pub enum Audit {
    /// Recomputes the chain of each project, or of one; exits 1 and names the first broken entry.
    #[command(after_help = "\
Examples:
  tessera audit verify                        every chain in the configured store
  tessera audit verify --data .tessera        … in the store of `tessera dev`
  tessera audit verify --project shop --database-url postgres://user@host/tessera")]
    Verify {
        /// Slug or id of one project.
        #[arg(long, value_name = "SLUG")]
        project: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

pub async fn run(audit: &Audit, mut sources: Sources) -> anyhow::Result<()> {
    let Audit::Verify { project, place } = audit;
    place.apply(&mut sources)?;
    let db = open::open(&Config::load(&sources, MasterKey::Optional)?).await?;
    let broken = match project {
        Some(name) => {
            let project = db.read(|conn| async move { projects::get(&conn, name).await }).await?;
            usize::from(!is_whole(&db, project.id).await?)
        }
        None => verify_all(&db).await?,
    };
    match broken {
        0 => Ok(()),
        1 => anyhow::bail!("1 chain is broken"),
        broken => anyhow::bail!("{broken} chains are broken"),
    }
}

/// Every chain there is, and how many of them are broken.
async fn verify_all(db: &Db) -> anyhow::Result<usize> {
    let mut broken = usize::from(!is_whole(db, ProjectId::INSTANCE).await?);
    let mut last = ProjectId::INSTANCE;
    while let Some(project) = next_chain(db, last).await? {
        broken += usize::from(!is_whole(db, project).await?);
        last = project;
    }
    Ok(broken)
}

/// Tells what a chain says. The making of a project is its first entry, so an empty chain of one has been emptied.
async fn is_whole(db: &Db, id: ProjectId) -> anyhow::Result<bool> {
    let named = id.to_string();
    let project = db
        .read(|conn| {
            let named = &named;
            async move { projects::find(&conn, named).await }
        })
        .await?;
    let name = match &project {
        Some(project) => project.slug.as_str(),
        None if id == ProjectId::INSTANCE => "(all projects)",
        None => &named,
    };
    match verify(db, id).await? {
        Verdict::Whole { events: 0 } if id != ProjectId::INSTANCE => {
            println!("{name}: broken at 1: the chain is empty");
            Ok(false)
        }
        Verdict::Whole { events } => {
            println!("{name}: whole, {events} events");
            Ok(true)
        }
        Verdict::Broken { seq, why } => {
            println!("{name}: broken at {seq}: {why}");
            Ok(false)
        }
    }
}
