//! Logging: what happened to which request, never a secret, a token, a code, a password or a mail address.

use tracing_subscriber::EnvFilter;

/// Logs to standard error, filtered as `filter` says (`info`, `tessera=debug` …).
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("{error}"))
}
