//! `serve`: a node.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::{migrate, open, server};
use crate::app::App;
use crate::cache::Cache;
use crate::callout::Callouts;
use crate::clock::Clock;
use crate::config::{Config, MasterKey, Passwords, Sources};
use crate::entropy::Entropy;
use crate::events::Events;
use crate::identity::guesses::Turns;
use crate::identity::passwords::Hasher;
use crate::keys::master::MasterKeys;
use crate::mail::Mailer;
use crate::model::sign_in_policy::SecondFactor;
use crate::projects::admins::home;
use crate::running::Running;
use crate::store::db::Db;
use crate::store::rotations::Rotations;
use crate::store::standings::Standings;
use crate::telemetry;
use crate::tls::Tls;

#[derive(Args)]
#[command(after_help = "\
Examples:
  TESSERA__MASTER_KEY_FILE=/run/secrets/master_key tessera serve
  tessera serve --config /etc/tessera.toml --no-migrate

SIGTERM and SIGINT end it: running requests are finished (shutdown.grace_seconds), then the store is closed.")]
pub struct Serve {
    /// Leave the schema alone, and refuse to start while migrations are pending.
    #[arg(long)]
    no_migrate: bool,
}

pub async fn run(serve: &Serve, sources: &Sources) -> anyhow::Result<()> {
    let mut config = Config::load(sources, MasterKey::Required)?;
    telemetry::init(&config.log)?;
    let keys = config.master_keys.take().context("the master key is missing")?;
    if config.base_url.starts_with("http://") && !config.is_local() {
        tracing::warn!(
            base_url = config.base_url,
            "passwords and tokens travel unencrypted: base_url is not https"
        );
    }
    if config.is_ledger_beside_store() {
        tracing::warn!(
            "erasure_ledger lies in data_dir, beside the store: a backup of the directory sets both back, and nobody notices"
        );
    }
    let db = open::open_or_make(&config).await?;
    migrate::at_start(&db, serve.no_migrate).await?;
    let tls = config.tls.clone().map(Tls::load).transpose()?;
    let mut app = app(db, &config.base_url, keys, &config)?;
    app.mailer = Mailer::of(config.smtp.take())?;
    app.tls = tls.map(Arc::new);
    home::ensure(&app, SecondFactor::Required).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} cannot be listened on", config.listen))?;
    server::serve(Arc::new(app), listener, config.shutdown.grace).await
}

/// Builds the application the way every command does.
pub fn app(db: Db, base_url: &str, master_keys: MasterKeys, config: &Config) -> anyhow::Result<App> {
    let entropy = Entropy::default();
    let Passwords { memory_kib, iterations, workers, queue_length } = config.passwords;
    let hasher = Hasher::new(&entropy, memory_kib, iterations, workers, queue_length)?;
    Ok(App {
        base_url: base_url.to_owned(),
        standings: Standings::new(db.clone()),
        rotations: Rotations::new(db.clone()),
        db,
        cache: Cache::default(),
        clock: Clock::System,
        entropy,
        master_keys,
        hasher,
        turns: Turns::default(),
        mailer: Mailer::Absent,
        events: Events::default(),
        callouts: Callouts::new(config.callouts.clone())?,
        deletions_per_second: config.jobs.deletions_per_second,
        server: config.server.clone(),
        tls: None,
        proxies: config.proxies.clone(),
        running: Running::default(),
        erasure_ledger: Some(config.erasure_ledger.clone()),
        demo: None,
    })
}
