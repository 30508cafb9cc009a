//! Typed settings, one small struct per concern, checked at start. All problems are reported at once; no message and
//! no `Debug` holds a secret.
//!
//! A new setting: its line and comment in `config/default.toml`, its field and its reading here or in `sections`, its
//! row in `docs/configuration.md` (a test compares the three).

mod callouts;
mod layers;
mod mail;
mod sections;
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use self::layers::Layers;
pub use self::layers::{DEFAULTS, Sources};
pub use self::sections::{Database, Jobs, Log, LogFormat, Passwords, Server, Shutdown};
pub use self::tls::TlsFiles;
use crate::callout::CalloutSettings;
use crate::keys::master::MasterKeys;
use crate::mail::SmtpSettings;
use crate::model::proxies::{ForwardedHeader, TrustedProxies};
use crate::secret::Secret;

/// The name of the ledger's copy in the data directory.
pub const ERASURE_LEDGER: &str = "erasure-ledger";

/// Every setting, read and checked.
#[derive(Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub base_url: String,
    /// `None` for the embedded store. Its password makes it a secret.
    pub database_url: Option<Secret>,
    pub data_dir: PathBuf,
    /// The copy of the erasure ledger.
    pub erasure_ledger: PathBuf,
    /// `None` only where the caller asked for [`MasterKey::Optional`].
    pub master_keys: Option<MasterKeys>,
    pub proxies: TrustedProxies,
    pub server: Server,
    pub database: Database,
    pub log: Log,
    pub passwords: Passwords,
    /// `None`: mail waits in the outbox.
    pub smtp: Option<SmtpSettings>,
    pub callouts: CalloutSettings,
    pub jobs: Jobs,
    /// `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    pub shutdown: Shutdown,
}

/// Whether the command can do without the master key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MasterKey {
    Required,
    Optional,
}

impl Config {
    /// Reads and checks all layers.
    ///
    /// # Errors
    /// One message that names every problem and where it was set; values are never printed.
    pub fn load(sources: &Sources, master_key: MasterKey) -> anyhow::Result<Self> {
        let mut layers = Layers::load(sources);
        let config = Self::read(&mut layers, master_key);
        let problems = layers.into_problems();
        if problems.is_empty() {
            return Ok(config);
        }
        anyhow::bail!("the settings are not usable:\n- {}", problems.join("\n- "))
    }

    fn read(layers: &mut Layers, master_key: MasterKey) -> Self {
        let data_dir = PathBuf::from(
            layers.read("data_dir", "is a directory", ".".into(), |text| Some(text.to_owned())),
        );
        let base_url = layers.read(
            "base_url",
            "is http(s)://host[:port] in lower case, without the scheme's own port and without a path or a slash at its end",
            String::new(),
            |text| is_origin(text).then(|| text.to_owned()),
        );
        Self {
            listen: layers.read(
                "listen",
                "is an address with a port, such as 127.0.0.1:8080 or [::]:8080",
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                |text| text.parse().ok(),
            ),
            tls: tls::read(layers, &base_url),
            base_url,
            database_url: database_url(layers),
            master_keys: master_keys(layers, master_key),
            proxies: trusted_proxies(layers),
            server: Server::read(layers),
            erasure_ledger: layers
                .text("erasure_ledger")
                .map_or_else(|| data_dir.join(ERASURE_LEDGER), PathBuf::from),
            data_dir,
            database: Database::read(layers),
            log: Log::read(layers),
            passwords: Passwords::read(layers),
            smtp: mail::read(layers),
            callouts: callouts::read(layers),
            jobs: Jobs::read(layers),
            shutdown: Shutdown::read(layers),
        }
    }

    /// The embedded store in the data directory, unless another one is named.
    pub fn database_url(&self) -> Secret {
        self.database_url.clone().unwrap_or_else(|| Secret::new(embedded_store(&self.data_dir)))
    }

    /// Whether a backup of the embedded store's directory holds the ledger as well: restored, neither tells of the other.
    pub fn is_ledger_beside_store(&self) -> bool {
        self.database_url.is_none() && self.erasure_ledger.starts_with(&self.data_dir)
    }

    /// Whether browsers reach the server on their own machine alone.
    pub fn is_local(&self) -> bool {
        let host = url::Url::parse(&self.base_url).ok();
        matches!(host.as_ref().and_then(url::Url::host_str), Some("localhost" | "127.0.0.1" | "[::1]"))
    }
}

/// The URL of the embedded store in a data directory.
pub fn embedded_store(data_dir: &Path) -> String {
    // What would end the path of a URL, or be decoded in it.
    const RESERVED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');
    let file = data_dir.join("tessera.db");
    format!("sqlite://{}", utf8_percent_encode(&file.to_string_lossy(), RESERVED))
}

fn database_url(layers: &mut Layers) -> Option<Secret> {
    let url = Secret::new(layers.text("database_url")?);
    if !["postgres://", "postgresql://", "sqlite://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        layers.refuse("database_url", "begins with postgres:// or sqlite://");
    }
    Some(url)
}

fn master_keys(layers: &mut Layers, need: MasterKey) -> Option<MasterKeys> {
    let (key, text) = match (layers.text("master_key"), layers.text("master_key_file")) {
        (Some(_), Some(_)) => {
            layers.problem("master_key and master_key_file are both set: one is enough".into());
            return None;
        }
        (None, None) if need == MasterKey::Optional => return None,
        (None, None) => {
            layers.problem("master_key or master_key_file is missing".into());
            return None;
        }
        (Some(text), None) => ("master_key", Ok(Secret::new(text))),
        (None, Some(file)) => ("master_key_file", std::fs::read_to_string(file).map(Secret::new)),
    };
    let keys = match text {
        Ok(text) => MasterKeys::parse(text.expose()).map_err(|error| error.description().to_owned()),
        Err(error) => Err(error.to_string()),
    };
    keys.map_err(|why| layers.refuse(key, &format!("is not usable: {why}"))).ok()
}

fn trusted_proxies(layers: &mut Layers) -> TrustedProxies {
    let header = layers.choice(
        "forwarded_header",
        ("x-forwarded-for", ForwardedHeader::XForwardedFor),
        ("forwarded", ForwardedHeader::Forwarded),
    );
    let entries = layers.text("trusted_proxies").unwrap_or_default().to_owned();
    let entries = entries.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    TrustedProxies::parse(entries, header).unwrap_or_else(|| {
        layers.refuse(
            "trusted_proxies",
            "lists addresses (10.0.0.1) and networks (10.0.0.0/8, fd00::/8), separated by commas",
        );
        TrustedProxies::default()
    })
}

/// `scheme://host[:port]` as browsers write it: issuers are built from it and compared as text.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

#[cfg(test)]
mod tests;
