//! SQLite: a pool of read-only connections beside one writer.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::conn::{Conn, Engine, Kind, store_error};
use super::counters::Counters;
use super::pool::Pool;
use super::work::Work;
use super::writer::{Writer, unit_too_long};
use super::{End, Settings};
use crate::error::{Error, Result};

/// Readers that work at once: more only wait for the same disk, and each has a thread, a cache and the schema to itself.
const READERS: u32 = 4;

/// The longest a unit may hold the one write connection.
pub(super) const UNIT_LIMIT: Duration = Duration::from_secs(1);

/// Makes a file that its owner alone can read; SQLite gives those beside it (-wal, -shm) the same mode. One that is there
/// stays as it is, and what goes wrong here goes wrong again when it is opened.
fn make_file(path: &Path) {
    let _ = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
}

pub(super) struct SqliteDb {
    readers: Pool<SqliteConnection>,
    pub(super) options: SqliteConnectOptions,
    writer: Writer,
    acquire_timeout: Duration,
    call_limit: Duration,
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
            .pragma("fullfsync", "ON")
            // What is deleted is written over, or it could be read in the file for months.
            .pragma("secure_delete", "ON");
        if settings.create {
            make_file(options.get_filename());
        }
        // The writer first: readers open a file that is there.
        let writer = Writer::start(options.clone()).await?;
        let acquire_timeout = settings.acquire_timeout();
        let size = settings.max_connections.clamp(1, READERS);
        let readers = Pool::new(common.read_only(true), size, acquire_timeout, Duration::MAX);
        Ok(Self { readers, options, writer, acquire_timeout, call_limit: settings.call_limit() })
    }

    /// Outside any transaction, so that every statement sees the newest commit.
    pub(super) async fn read(&self, counters: &Arc<Counters>, work: &Work<'_>) -> Result<()> {
        let read = async {
            let reader = self.readers.acquire().await?;
            let lent = Conn::lend(Engine::SqliteReader(reader), Kind::Read, true, counters);
            let loan = lent.share();
            let outcome = work(lent).await;
            let returned = loan.take().await;
            if let (Some(Engine::SqliteReader(reader)), false) = (returned.engine, returned.broken) {
                reader.give_back();
            }
            outcome
        };
        tokio::time::timeout(self.call_limit, read)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable(1, "the read took too long")))
    }

    /// Borrows the write connection, and answers only after the COMMIT of the group.
    pub(super) async fn unit(
        &self,
        counters: &Arc<Counters>,
        kind: Kind,
        work: &Work<'_>,
        end: End,
    ) -> Result<()> {
        let loan = tokio::time::timeout(self.acquire_timeout, self.writer.borrow(kind, counters))
            .await
            .map_err(|_| Error::unavailable(1, "no turn at the write connection in time"))??;
        let outcome = tokio::time::timeout(UNIT_LIMIT, work(loan.conn)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(unit_too_long()));
        // A receiver that is gone is a writer that is gone; the answer below says so.
        let _ = loan.verdict.send(outcome.is_ok() && end == End::Commit);
        let settled = loan.settled.await;
        outcome?;
        if end == End::RollBack {
            return Ok(());
        }
        settled.map_err(|_| Error::unavailable(1, "the writer ended before its COMMIT"))?
    }

    pub(super) async fn is_healthy(&self) -> bool {
        let Ok(mut reader) = self.readers.acquire().await else { return false };
        let answers = sqlx::query("SELECT 1").execute(&mut reader.conn).await.is_ok();
        if answers {
            reader.give_back();
        }
        answers && self.writer.is_running()
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.stop().await;
    }
}
