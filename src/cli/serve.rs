//! `serve`, `migrate`, `audit-verify`, `health`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::App;
use crate::audit::{self, Verdict};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::http;
use crate::identity::passwords::Hasher;
use crate::keys::master::MasterKeys;
use crate::store::db::{Db, Settings};
use crate::store::projects;
use crate::telemetry;

/// Builds the application the way every command and every test does.
pub fn app(db: Db, base_url: &str, master_keys: MasterKeys, demo_pages: bool) -> anyhow::Result<Arc<App>> {
    let entropy = Entropy::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    // OWASP: argon2id with 19 MiB, two passes, one lane.
    let hasher = Hasher::new(&entropy, 19_456, 2, workers, 64)?;
    let base_url = base_url.to_owned();
    Ok(Arc::new(App {
        base_url,
        db,
        cache: Cache::default(),
        clock: Clock::System,
        entropy,
        master_keys,
        hasher,
        demo_pages,
    }))
}

pub async fn run() -> anyhow::Result<()> {
    let config = Config::load()?;
    telemetry::init(&config.log)?;
    let keys = config.master_keys()?;
    let db = open(&config).await?;
    db.migrate().await?;
    let app = app(db, &config.base_url, keys, false)?;
    let listener = TcpListener::bind(config.listen).await.context("the address cannot be listened on")?;
    serve(app, listener, Duration::from_secs(config.shutdown_grace_seconds)).await
}

async fn open(config: &Config) -> anyhow::Result<Db> {
    if config.database_url.is_none() {
        std::fs::create_dir_all(&config.data_dir).context("the data directory cannot be made")?;
    }
    let settings =
        Settings { max_connections: config.max_connections, ..Settings::new(config.database_url()) };
    Ok(Db::connect(&settings).await?)
}

/// Serves until SIGTERM or SIGINT, then stops accepting, finishes what runs for at most `grace`, and closes the store.
pub async fn serve(app: Arc<App>, listener: TcpListener, grace: Duration) -> anyhow::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let server = axum::serve(listener, http::router(app.clone())).with_graceful_shutdown(async move {
        shutdown_signal().await;
        drop(stop);
    });
    let deadline = async move {
        while stopped.changed().await.is_ok() {}
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        result = server.into_future() => result?,
        () = deadline => tracing::warn!("some requests did not end in time"),
    }
    app.db.close().await;
    Ok(())
}

async fn shutdown_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

pub async fn migrate() -> anyhow::Result<()> {
    let config = Config::load()?;
    let db = open(&config).await?;
    db.migrate().await?;
    println!("the schema is up to date");
    Ok(())
}

pub async fn audit_verify(project: &str) -> anyhow::Result<()> {
    let config = Config::load()?;
    let db = open(&config).await?;
    let project = db.read(|conn| async move { projects::get(&conn, project).await }).await?;
    match audit::verify(&db, project.id).await? {
        Verdict::Whole { events } => println!("whole: {events} events"),
        Verdict::Broken { seq, why } => anyhow::bail!("broken at {seq}: {why}"),
    }
    Ok(())
}

pub async fn health(address: SocketAddr) -> anyhow::Result<()> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "the server is not well");
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.context("the server does not answer")?
}
