//! What the commands that administer a store have in common. They may run beside a server on the same store.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::open::{self, Place};
use super::{migrate, serve};
use crate::app::{App, Ctx, Visit};
use crate::config::{Config, MasterKey, Sources};
use crate::telemetry;

/// Rows that a list reads at a time.
pub const PAGE: i64 = 200;

#[derive(Args)]
pub struct Common {
    #[command(flatten)]
    place: Place,
    /// Print JSON: one object, or one on each line of a list.
    #[arg(long)]
    json: bool,
}

impl Common {
    /// The application over the named store, whose schema must be up to date.
    pub async fn app(&self, mut sources: Sources) -> anyhow::Result<Arc<App>> {
        self.place.apply(&mut sources)?;
        let mut config = Config::load(&sources, MasterKey::Required).map_err(|problems| {
            anyhow::anyhow!(
                "{problems}
For the store of `tessera dev`, name its directory: --data .tessera"
            )
        })?;
        telemetry::init(&config.log)?;
        let keys = config.master_keys.take().context("the master key is missing")?;
        let db = open::open(&config).await?;
        migrate::at_start(&db, true).await?;
        Ok(Arc::new(serve::app(db, &config.base_url, keys, &config)?))
    }

    /// Shows what was made or changed.
    pub fn show(&self, what: &impl Serialize) -> anyhow::Result<()> {
        let Value::Object(fields) = serde_json::to_value(what)? else { anyhow::bail!("not an object") };
        if self.json {
            return print(&Value::Object(fields).to_string());
        }
        let width = fields.keys().map(String::len).max().unwrap_or_default();
        for (name, value) in fields.iter().filter(|(_, value)| !is_empty(value)) {
            print(&format!("{name:width$}  {}", plain(value)))?;
        }
        Ok(())
    }

    /// Shows a row of a list: as JSON, or these fields of it.
    pub fn row(&self, what: &impl Serialize, fields: &[&str]) -> anyhow::Result<()> {
        let row = serde_json::to_value(what)?;
        if self.json {
            return print(&row.to_string());
        }
        let fields: Vec<_> = fields.iter().map(|name| plain(&row[*name])).collect();
        print(&fields.join("  "))
    }
}

/// A reader that has gone is an error, not a panic.
fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// The context of a command for one project, named by slug or id.
pub async fn context(app: &Arc<App>, project: &str) -> anyhow::Result<Ctx> {
    let visit = Visit::of_nobody(app, project, app.clock.now());
    Ok(visit.current().await?)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
