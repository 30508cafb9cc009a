//! SQLite: a pool of read-only connections beside one writer.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::Settings;
use super::conn::{Conn, Counters, Engine, Kind, store_error};
use super::writer::{Writer, unit_too_long};
use crate::error::{Error, Result};

/// Readers that work at once: more only wait for the same disk.
const READERS: u32 = 8;

/// The longest a unit may hold the one write connection.
pub(super) const UNIT_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct SqliteDb {
    pub(super) readers: SqlitePool,
    pub(super) options: SqliteConnectOptions,
    writer: Writer,
    acquire_timeout: Duration,
}

impl SqliteDb {
    pub(super) async fn connect(settings: &Settings) -> Result<Self> {
        let common = SqliteConnectOptions::from_str(settings.url.expose())
            .map_err(store_error)?
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let options = common
            .clone()
            .create_if_missing(settings.create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Without it macOS acknowledges what the disk has not yet written; elsewhere it does nothing.
            .pragma("fullfsync", "ON");
        // The writer first: it makes the file that the readers open.
        let writer = Writer::start(options.clone()).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.max_connections.clamp(1, READERS))
            .acquire_timeout(settings.acquire_timeout())
            .test_before_acquire(false)
            .connect_with(common.read_only(true))
            .await
            .map_err(store_error)?;
        Ok(Self { readers, options, writer, acquire_timeout: settings.acquire_timeout() })
    }

    /// Outside any transaction, so that every statement sees the newest commit.
    pub(super) async fn read<T, F, Fut>(&self, counters: &Arc<Counters>, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let engine = Engine::SqliteReader(self.readers.acquire().await.map_err(store_error)?);
        statements(Conn::lend(engine, Kind::Read, true, counters)).await
    }

    /// Borrows the write connection, and answers only after the COMMIT of the group.
    pub(super) async fn unit<T, F, Fut>(
        &self,
        counters: &Arc<Counters>,
        kind: Kind,
        statements: &F,
    ) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let loan = tokio::time::timeout(self.acquire_timeout, self.writer.borrow(kind, counters))
            .await
            .map_err(|_| Error::unavailable(1, "no turn at the write connection in time"))??;
        let outcome = tokio::time::timeout(UNIT_LIMIT, statements(loan.conn)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(unit_too_long()));
        // A receiver that is gone is a writer that is gone; the answer below says so.
        let _ = loan.verdict.send(outcome.is_ok());
        let settled = loan.settled.await;
        let value = outcome?;
        settled.map_err(|_| Error::unavailable(1, "the writer ended before its COMMIT"))??;
        Ok(value)
    }

    pub(super) async fn is_healthy(&self) -> bool {
        self.writer.is_running() && sqlx::query("SELECT 1").execute(&self.readers).await.is_ok()
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.stop().await;
    }
}
