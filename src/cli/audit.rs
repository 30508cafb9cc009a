//! `audit`: proves the hash chains, gives them out, and signs what they are.

mod export;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;

use super::common::Common;
use super::open::{self, Place};
use crate::config::{Config, MasterKey, Sources};
use crate::error::{Result, not_found};
use crate::ids::ProjectId;
use crate::store::db::Db;
use crate::store::projects;

#[derive(Subcommand)]
pub enum Audit {
    /// Recomputes the chain of each project, or of one, or of an export; exits 1 and names the first broken entry.
    #[command(after_help = "\
Examples:
  tessera audit verify                        every chain in the configured store
  tessera audit verify --data .tessera        … in the store of `tessera dev`
  tessera audit verify --project shop --database-url postgres://user@host/tessera
  tessera audit verify --project shop --checkpoint shop.checkpoint
                                              … and nothing was cut off the end since that was signed
  tessera audit verify --export shop.jsonl --checkpoint shop.checkpoint --jwks shop.jwks.json
                                              a file alone, without a store

docs/audit.md tells what each of them proves.")]
    Verify(verify::Verify),
    /// Prints a chain as JSON Lines, an entry each, with its hashes and without anything personal.
    #[command(after_help = "\
Examples:
  tessera audit export --project shop > shop.jsonl
  tessera audit export --project shop --after 1200 >> shop.jsonl      what has come since entry 1200")]
    Export(export::Export),
    /// Signs the end of a chain with the project's key, and prints it: keep it outside of the store.
    #[command(after_help = "\
Examples:
  tessera audit checkpoint --project shop > shop.checkpoint
  tessera audit checkpoint --instance > instance.checkpoint      signed by the project admin")]
    Checkpoint {
        /// Slug or id of the project.
        #[arg(long, value_name = "SLUG", required_unless_present = "instance")]
        project: Option<String>,
        /// The chain of the instance itself.
        #[arg(long, conflicts_with = "project")]
        instance: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Lets go of the beginning of a project's log, as its setting `retention.audit_days` says.
    #[command(after_help = "\
The job `retention` does it by itself, unless the server's database role may not delete entries.

Example:
  tessera audit cut --project shop --database-url postgres://owner@host/tessera")]
    Cut {
        /// Slug or id of the project.
        #[arg(long, value_name = "SLUG")]
        project: String,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(audit: &Audit, sources: Sources) -> anyhow::Result<()> {
    match audit {
        Audit::Verify(command) => verify::run(command, sources).await,
        Audit::Export(command) => export::run(command, sources).await,
        Audit::Checkpoint { project, common, .. } => {
            export::checkpoint(project.as_deref(), common, sources).await
        }
        Audit::Cut { project, common } => export::cut(project, common, sources).await,
    }
}

/// The store, for what needs no key.
async fn store(place: &Place, mut sources: Sources) -> anyhow::Result<Db> {
    place.apply(&mut sources)?;
    open::open(&Config::load(&sources, MasterKey::Optional)?).await
}

/// A project by its slug or id; by its id also a deleted one, whose log stays.
async fn find(db: &Db, name: &str) -> Result<ProjectId> {
    if let Some(project) = db.read(|conn| async move { projects::find(&conn, name).await }).await? {
        return Ok(project.id);
    }
    let id: ProjectId = name.parse().map_err(|_| not_found("no such project"))?;
    let is_there = db.read(|conn| async move { projects::is_known(&conn, id).await }).await?;
    if is_there { Ok(id) } else { Err(not_found("no such project")) }
}

/// What a file says, with its name in the error.
fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", file.display()))
}
