//! From settings to an open store.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::dev::files;
use crate::config::{Config, Sources};
use crate::store::db::{Db, Settings};

/// Flags that name the store, stronger than all settings.
#[derive(Args)]
pub struct Place {
    /// The data directory of an embedded store; for one of `tessera dev`, its master key and its address are used, too.
    #[arg(long, value_name = "DIR", conflicts_with = "database_url")]
    data: Option<PathBuf>,
    /// postgres://… or sqlite://…
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Place {
    pub fn apply(&self, sources: &mut Sources) -> anyhow::Result<()> {
        if let Some(data) = &self.data {
            let text = data.to_str().context("--data is not UTF-8")?;
            sources.flags.push(("data_dir", text.to_owned(), "--data"));
            sources.flags.push(("database_url", String::new(), "--data"));
            sources
                .flags
                .extend(files::settings(data)?.into_iter().map(|(key, value)| (key, value, "--data")));
        }
        if let Some(url) = &self.database_url {
            sources.flags.push(("database_url", url.clone(), "--database-url"));
        }
        Ok(())
    }
}

/// Makes a directory that nobody else looks into; one that is there stays as it is.
pub fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens the store; an embedded one is made when it is not there.
pub async fn open_or_make(config: &Config) -> anyhow::Result<Db> {
    if config.database_url.is_none() {
        make_directory(&config.data_dir)
            .with_context(|| format!("the data directory {} cannot be made", config.data_dir.display()))?;
    }
    Ok(Db::connect(&settings(config)).await?)
}

/// Opens a store that exists, for a command: a typing error in its place must not make an empty one.
pub async fn open(config: &Config) -> anyhow::Result<Db> {
    Ok(Db::connect(&Settings { create: false, ..settings(config) }.patient()).await?)
}

fn settings(config: &Config) -> Settings {
    Settings {
        max_connections: config.database.max_connections,
        acquire_timeout_seconds: config.database.acquire_timeout_seconds,
        statement_timeout_seconds: config.database.statement_timeout_seconds,
        lock_timeout_seconds: config.database.lock_timeout_seconds,
        transaction_pooler: config.database.transaction_pooler,
        ..Settings::new(config.database_url().expose())
    }
}
