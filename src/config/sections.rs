//! Settings with a section of their own in `config/default.toml`.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::layers::Layers;

/// `[server]`: how many connections there may be, and how long each may keep us waiting.
#[derive(Clone, Debug)]
pub struct Server {
    pub max_connections: usize,
    /// For the head of a request, from its first byte on.
    pub header_timeout: Duration,
    /// For the body, from the moment that it is asked for.
    pub body_timeout: Duration,
    /// Between an answer and the next request.
    pub idle_timeout: Duration,
}

impl Server {
    pub(super) fn read(layers: &mut Layers) -> Self {
        let mut seconds = |name: &str| Duration::from_secs(layers.number(name, 1..=3600));
        Self {
            header_timeout: seconds("server.header_timeout_seconds"),
            body_timeout: seconds("server.body_timeout_seconds"),
            idle_timeout: seconds("server.idle_timeout_seconds"),
            max_connections: layers.number("server.max_connections", 16..=1_000_000),
        }
    }
}

/// `[database]`: how the store is reached.
#[derive(Clone, Debug)]
pub struct Database {
    pub max_connections: u32,
    pub acquire_timeout_seconds: u64,
    pub statement_timeout_seconds: u64,
    pub lock_timeout_seconds: u64,
    /// A pooler in transaction mode that does not follow named statements stands before PostgreSQL.
    pub transaction_pooler: bool,
}

impl Database {
    pub(super) fn read(layers: &mut Layers) -> Self {
        Self {
            max_connections: layers.number("database.max_connections", 2..=1000),
            acquire_timeout_seconds: layers.number("database.acquire_timeout_seconds", 1..=60),
            statement_timeout_seconds: layers.number("database.statement_timeout_seconds", 1..=60),
            lock_timeout_seconds: layers.number("database.lock_timeout_seconds", 1..=60),
            transaction_pooler: layers.choice("database.pooler", ("none", false), ("transaction", true)),
        }
    }
}

/// `[log]`: what is logged, and how a line looks.
#[derive(Clone, Debug)]
pub struct Log {
    /// As `tracing` filters are written; it parses.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

impl Log {
    pub(super) fn read(layers: &mut Layers) -> Self {
        let filter = layers.read(
            "log.filter",
            "is a filter such as \"info\" or \"warn,tessera=debug\"",
            String::new(),
            |text| EnvFilter::try_new(text).is_ok().then(|| text.to_owned()),
        );
        let format = layers.choice("log.format", ("pretty", LogFormat::Pretty), ("json", LogFormat::Json));
        Self { filter, format }
    }
}

/// `[passwords]`: what a password hash costs, and how many are made at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    pub memory_kib: u32,
    pub iterations: u32,
    pub workers: usize,
    pub queue_length: usize,
}

impl Passwords {
    pub(super) fn read(layers: &mut Layers) -> Self {
        let workers = match layers.number("passwords.workers", 0..=256) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        Self {
            // OWASP's least memory for argon2id, so that no typo makes hashes cheap.
            memory_kib: layers.number("passwords.memory_kib", 7168..=1_048_576),
            iterations: layers.number("passwords.iterations", 1..=100),
            workers,
            queue_length: layers.number("passwords.queue_length", 1..=10_000),
        }
    }
}

/// `[jobs]`: how much work that nobody waits for may take.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub deletions_per_second: u32,
}

impl Jobs {
    pub(super) fn read(layers: &mut Layers) -> Self {
        Self { deletions_per_second: layers.number("jobs.deletions_per_second", 1..=1000) }
    }
}

/// `[shutdown]`: how the server ends.
#[derive(Clone, Debug)]
pub struct Shutdown {
    pub grace: Duration,
}

impl Shutdown {
    pub(super) fn read(layers: &mut Layers) -> Self {
        Self { grace: Duration::from_secs(layers.number("shutdown.grace_seconds", 0..=3600)) }
    }
}
