//! Logging: what happened to which request, never a secret, a token, a code, a password, a user name or a mail address.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Logs to standard error.
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&log.filter)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
    }
    .map_err(|error| anyhow::anyhow!("{error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        // Its message may quote what it stumbled over, and that may be a secret.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task has panicked");
    }));
    Ok(())
}
