//! `audit verify`: recomputes the hash chains.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::super::open::Place;
use crate::audit::{Checkpoint, Demands, Proof, Verdict, next_chain, verify_export, verify_with};
use crate::config::Sources;
use crate::ids::ProjectId;
use crate::keys::jwks::thumbprint;
use crate::model::signing_key::Alg;
use crate::store::db::Db;
use crate::store::{admin_keys, projects};

#[derive(Args)]
pub struct Verify {
    /// Slug or id of one project; with --export, the id of the one that the file has to be of.
    #[arg(long, value_name = "SLUG")]
    project: Option<String>,
    /// A file of `audit export`, in place of a store.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "database_url"])]
    export: Option<PathBuf>,
    /// Signed checkpoints that were kept, one on a line: the chain has to contain them. May be given more than once.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// A JWK Set of the project that was kept: checkpoints have to be signed with one of its keys.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub async fn run(command: &Verify, sources: Sources) -> anyhow::Result<()> {
    anyhow::ensure!(
        command.jwks.is_none() || command.project.is_some() || command.export.is_some(),
        "--jwks is the JWK Set of one project: name it with --project"
    );
    let mut demands = Demands::default();
    for file in &command.checkpoint {
        demands.held.extend(checkpoints(file)?);
    }
    demands.keys = command.jwks.as_ref().map(kids).transpose()?;
    let broken = match &command.export {
        Some(file) => usize::from(!is_whole_file(command, file, &demands)?),
        None => {
            let db = super::store(&command.place, sources).await?;
            match &command.project {
                Some(name) => usize::from(!is_whole(&db, super::find(&db, name).await?, &demands).await?),
                None => verify_all(&db, &demands).await?,
            }
        }
    };
    match broken {
        0 => Ok(()),
        1 => anyhow::bail!("1 chain is broken"),
        broken => anyhow::bail!("{broken} chains are broken"),
    }
}

/// One compact JWS on a line, as `audit checkpoint` prints it; or what the API answered.
fn checkpoints(file: &PathBuf) -> anyhow::Result<Vec<Checkpoint>> {
    let text = super::read(file)?;
    let signed: Vec<String> = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(answer)) => {
            let items = answer.get("items").and_then(Value::as_array).cloned();
            let items = items.unwrap_or_else(|| vec![Value::Object(answer)]);
            items.iter().map(|item| item["jws"].as_str().unwrap_or_default().to_owned()).collect()
        }
        _ => text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(),
    };
    let read = |jws: &String| {
        Checkpoint::read(jws)
            .with_context(|| format!("{} holds a checkpoint whose signature does not fit", file.display()))
    };
    anyhow::ensure!(!signed.is_empty(), "{} holds no checkpoint", file.display());
    signed.iter().map(read).collect()
}

/// The thumbprints of the ES256 keys of a JWK Set: of each key itself, whatever `kid` it bears.
fn kids(file: &PathBuf) -> anyhow::Result<HashSet<String>> {
    let set: Value = serde_json::from_str(&super::read(file)?)
        .with_context(|| format!("{} is no JWK Set", file.display()))?;
    let keys = set["keys"].as_array().with_context(|| format!("{} is no JWK Set", file.display()))?;
    Ok(keys.iter().filter_map(|key| thumbprint(Alg::ES256, key)).collect())
}

fn is_whole_file(command: &Verify, file: &PathBuf, demands: &Demands) -> anyhow::Result<bool> {
    let project = command.project.as_ref().map(|id| id.parse::<ProjectId>());
    let project = project.transpose().context("with --export, --project is the id of the project")?;
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let Proof { verdict, base, begins_well } = verify_export(BufReader::new(opened), project, demands)?;
    let is_whole = tell(&file.display().to_string(), &verdict);
    if is_whole && !begins_well {
        println!(
            "It begins after {base}, and nothing proves what it follows: add the part before, or a checkpoint of that \
             entry; or, if the log was cut there, a later checkpoint or the project's JWK Set."
        );
    }
    Ok(is_whole && begins_well)
}

/// Every chain there is, and how many of them are broken.
async fn verify_all(db: &Db, demands: &Demands) -> anyhow::Result<usize> {
    let mut left = demands.clone();
    let mut broken = 0;
    let mut next = Some(ProjectId::INSTANCE);
    while let Some(project) = next {
        let (own, others) = left.held.into_iter().partition(|held| held.project == project);
        left.held = others;
        let own = Demands { held: own, keys: demands.keys.clone() };
        broken += usize::from(!is_whole(db, project, &own).await?);
        next = next_chain(db, project).await?;
    }
    let missing: HashSet<ProjectId> = left.held.iter().map(|held| held.project).collect();
    for project in &missing {
        println!("{project}: broken at 1: a checkpoint covers a chain that is not there");
    }
    Ok(broken + missing.len())
}

/// Tells what a chain says. The making of a project is its first entry, so an empty chain of one has been emptied.
async fn is_whole(db: &Db, id: ProjectId, demands: &Demands) -> anyhow::Result<bool> {
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
    match verify_with(db, id, demands).await? {
        Verdict::Whole { events: 0 } if id != ProjectId::INSTANCE || is_in_use(db).await? => {
            Ok(tell(name, &Verdict::Broken { seq: 1, why: "the chain is empty" }))
        }
        verdict => Ok(tell(name, &verdict)),
    }
}

/// Whether something has happened that the instance's chain has to tell of.
async fn is_in_use(db: &Db) -> anyhow::Result<bool> {
    Ok(db.read(|conn| async move { admin_keys::are_any_for_all(&conn).await }).await?)
}

fn tell(name: &str, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Whole { events } => println!("{name}: whole, {events} events"),
        Verdict::Broken { seq, why } => println!("{name}: broken at {seq}: {why}"),
    }
    matches!(verdict, Verdict::Whole { .. })
}
