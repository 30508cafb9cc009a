//! Settings from the environment: `TESSERA__LISTEN` and so on, and `DATABASE_URL`. All problems are reported at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Serialized};
use serde::{Deserialize, Serialize};

use crate::keys::master::MasterKeys;

/// What `serve` needs to know. Keys are explained in docs/configuration.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub base_url: String,
    pub database_url: Option<String>,
    pub data_dir: PathBuf,
    pub master_key: Option<String>,
    pub master_key_file: Option<PathBuf>,
    pub max_connections: u32,
    pub log: String,
    pub shutdown_grace_seconds: u64,
}

#[derive(Serialize)]
struct Defaults {
    listen: &'static str,
    base_url: &'static str,
    data_dir: &'static str,
    max_connections: u32,
    log: &'static str,
    shutdown_grace_seconds: u64,
}

impl Config {
    /// Reads and checks the environment.
    ///
    /// # Errors
    /// One message that names every problem; secrets are never printed.
    pub fn load() -> anyhow::Result<Self> {
        let figment = Figment::from(Serialized::defaults(Defaults {
            listen: "127.0.0.1:8080",
            base_url: "http://localhost:8080",
            data_dir: ".tessera",
            max_connections: 16,
            log: "info",
            shutdown_grace_seconds: 20,
        }))
        .merge(Env::raw().only(&["DATABASE_URL"]))
        .merge(Env::prefixed("TESSERA__").split("__"));
        let config: Self = figment.extract()?;
        let problems = config.problems();
        if problems.is_empty() {
            return Ok(config);
        }
        anyhow::bail!("the settings are not usable:\n- {}", problems.join("\n- "))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(why) = check_base_url(&self.base_url) {
            problems.push(why);
        }
        if !self.database_url().starts_with("sqlite://") && !self.database_url().starts_with("postgres") {
            problems.push("database_url begins with postgres:// or sqlite://".into());
        }
        if !(2..=1000).contains(&self.max_connections) {
            problems.push("max_connections lies between 2 and 1000".into());
        }
        match (&self.master_key, &self.master_key_file) {
            (Some(_), Some(_)) => problems.push("set master_key or master_key_file, not both".into()),
            (None, None) => problems.push("master_key or master_key_file is missing".into()),
            _ => {}
        }
        problems
    }

    /// The embedded store in the data directory, unless another one is named.
    pub fn database_url(&self) -> String {
        let embedded = || format!("sqlite://{}/tessera.db", self.data_dir.display());
        self.database_url.clone().unwrap_or_else(embedded)
    }

    /// The master keys, from the setting or from the file.
    pub fn master_keys(&self) -> anyhow::Result<MasterKeys> {
        let text = match (&self.master_key, &self.master_key_file) {
            (Some(text), _) => text.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)?,
            (None, None) => anyhow::bail!("master_key or master_key_file is missing"),
        };
        Ok(MasterKeys::parse(&text)?)
    }
}

/// `scheme://host[:port]` and nothing more: issuers are built from it by appending a path.
pub fn check_base_url(text: &str) -> Result<(), String> {
    let bare = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    });
    if bare && !text.ends_with('/') {
        Ok(())
    } else {
        Err("base_url is http(s)://host[:port] without a path".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_origin() {
        for good in ["http://localhost:8080", "https://id.example"] {
            assert!(check_base_url(good).is_ok(), "{good}");
        }
        for bad in ["https://id.example/", "https://id.example/x", "ftp://a", "https://a?b", "id.example"] {
            assert!(check_base_url(bad).is_err(), "{bad}");
        }
    }
}
