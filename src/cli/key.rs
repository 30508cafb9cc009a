//! `key`: a project's signing keys, and what the master key seals.

use anyhow::Context;
use clap::{Subcommand, ValueEnum};

use super::open::{self, Place};
use super::serve;
use crate::app::App;
use crate::audit::Actor;
use crate::config::{Config, MasterKey, Sources};
use crate::entropy::Entropy;
use crate::keys::generate::RsaSize;
use crate::keys::provide::Change;
use crate::keys::rewrap::rewrap;
use crate::keys::rotate::{self, Step};
use crate::model::project::Project;
use crate::model::signing_key::{Alg, KeyState};
use crate::store::{projects, signing_keys};

#[derive(Subcommand)]
pub enum Key {
    /// Lists a project's published keys: kid, algorithm, state and since or until when.
    List {
        /// Slug or id of the project.
        #[arg(long, value_name = "SLUG")]
        project: String,
        #[command(flatten)]
        place: Place,
    },
    /// Takes the next step of a rotation: publishes a next key, or lets the one published ten minutes ago sign.
    #[command(after_help = "\
Keys rotate by themselves every 90 days; this is for those who cannot wait. Tokens signed before stay good.

Examples:
  tessera key rotate --project shop                              publishes next keys
  tessera key rotate --project shop                              … and ten minutes later lets them sign
  tessera key rotate --project shop --alg RS256 --rsa-bits 3072")]
    Rotate {
        /// Slug or id of the project.
        #[arg(long, value_name = "SLUG")]
        project: String,
        /// One algorithm; all that the project signs with otherwise.
        #[arg(long)]
        alg: Option<AlgName>,
        /// Length of a new RSA key, 2048 or 3072; that of the current one otherwise.
        #[arg(long, value_name = "BITS", requires = "alg")]
        rsa_bits: Option<usize>,
        #[command(flatten)]
        place: Place,
    },
    /// Removes a key at once: all tokens it signed are refused from now on. For a key that has leaked.
    #[command(after_help = "\
When it is the key that signs, the next key or a new one takes its place. Sessions go on: applications refresh and get
tokens of the new key. Applications that verify by themselves learn of it when they read the key set again.

Example:
  tessera key remove --project shop 3pV…  --reason 'found in a backup'")]
    Remove {
        /// Slug or id of the project.
        #[arg(long, value_name = "SLUG")]
        project: String,
        /// As `key list` shows it.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Why; it stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
    /// Seals again, under the first master key, what an older one sealed.
    #[command(after_help = "\
To change the master key: put a new one in front (master_key = \"new:…,old:…\"), restart every node, run this. Keep the old
one configured: it makes the names of users in the audit log, and the refresh tokens given out under it.")]
    Rewrap {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum AlgName {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "EdDSA")]
    EdDsa,
}

impl From<AlgName> for Alg {
    fn from(name: AlgName) -> Self {
        match name {
            AlgName::Es256 => Self::ES256,
            AlgName::Rs256 => Self::RS256,
            AlgName::EdDsa => Self::EdDSA,
        }
    }
}

pub async fn run(key: &Key, mut sources: Sources) -> anyhow::Result<()> {
    match key {
        Key::List { project, place } => {
            place.apply(&mut sources)?;
            list(&sources, project).await
        }
        Key::Rotate { project, alg, rsa_bits, place } => {
            place.apply(&mut sources)?;
            let size = rsa_bits.map(RsaSize::from_bits).transpose()?;
            rotate(&app(&sources).await?, project, alg.map(Alg::from), size).await
        }
        Key::Remove { project, kid, reason, place } => {
            place.apply(&mut sources)?;
            remove(&app(&sources).await?, project, kid, reason).await
        }
        Key::Rewrap { place } => {
            place.apply(&mut sources)?;
            rewrap_all(&sources).await
        }
    }
}

async fn app(sources: &Sources) -> anyhow::Result<App> {
    let mut config = Config::load(sources, MasterKey::Required)?;
    let keys = config.master_keys.take().context("the master key is missing")?;
    let db = open::open(&config).await?;
    serve::app(db, &config.base_url, keys, &config)
}

async fn find(app: &App, project: &str) -> anyhow::Result<Project> {
    Ok(app.db.read(|conn| async move { projects::get(&conn, project).await }).await?)
}

async fn list(sources: &Sources, project: &str) -> anyhow::Result<()> {
    let db = open::open(&Config::load(sources, MasterKey::Optional)?).await?;
    let keys = db.read(|conn| async move {
        let project = projects::get(&conn, project).await?;
        signing_keys::list(&conn, project.id).await
    });
    for key in keys.await? {
        let (word, when) = match key.state {
            KeyState::Next { signs_from } => ("signs from", signs_from),
            KeyState::Current { since } => ("since", since),
            KeyState::Retired { until } => ("published until", until),
        };
        println!("{}  {}  {} {word} {when}", key.kid, key.alg.as_str(), key.state.as_str());
    }
    Ok(())
}

async fn rotate(app: &App, project: &str, alg: Option<Alg>, size: Option<RsaSize>) -> anyhow::Result<()> {
    let project = find(app, project).await?.id;
    let actor = Actor::command_line();
    let change = Change { app, project, now: app.clock.now(), actor: &actor };
    let algs = match alg {
        Some(alg) => vec![alg],
        None => rotate::signing_algs(&change).await?,
    };
    for alg in algs {
        println!("{}", told(&rotate::advance(&change, alg, size).await?));
    }
    Ok(())
}

fn told(step: &Step) -> String {
    match step {
        Step::Prepared { alg, kid } => {
            format!(
                "{}: {kid} is published; in ten minutes it may sign, so run this again then",
                alg.as_str()
            )
        }
        Step::Waiting { alg, signs_from } => {
            format!("{}: the next key may sign from {signs_from}; run this again then", alg.as_str())
        }
        Step::Promoted { alg, kid, retired } => {
            format!("{}: {kid} signs from now on; {retired} is retired", alg.as_str())
        }
        Step::Removed { alg, kid } => format!("{}: {kid} is gone", alg.as_str()),
    }
}

async fn remove(app: &App, project: &str, kid: &str, reason: &str) -> anyhow::Result<()> {
    let project = find(app, project).await?.id;
    let actor = Actor::command_line();
    let change = Change { app, project, now: app.clock.now(), actor: &actor };
    match rotate::remove(&change, kid, reason).await? {
        Some(successor) => println!("{kid} is gone; {successor} signs from now on"),
        None => println!("{kid} is gone"),
    }
    Ok(())
}

async fn rewrap_all(sources: &Sources) -> anyhow::Result<()> {
    let mut config = Config::load(sources, MasterKey::Required)?;
    let keys = config.master_keys.take().context("the master key is missing")?;
    let db = open::open(&config).await?;
    let done = rewrap(&db, &Entropy::default(), &keys, crate::clock::Clock::System.now()).await?;
    println!("{} sealed again under {}, {} were already", done.moved, keys.current_id(), done.kept);
    anyhow::ensure!(done.unreadable == 0, "{} do not open with any configured master key", done.unreadable);
    Ok(())
}
