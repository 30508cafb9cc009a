//! The only file that knows which engine runs: connections, units of work, and the macro that writes one call for both.
//!
//! - [`Db::read`]: statements that only read, each seeing the newest commit.
//! - [`Db::write`]: one writing statement in autocommit.
//! - [`Db::unit`]: one transaction; the closure may run again, so it has no side effects outside the store.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Postgres, Sqlite, Transaction};
use tokio::sync::Mutex;

use crate::error::{Error, Result, conflict};

/// A connection on loan: what every store function takes first.
pub struct Conn(pub(crate) Arc<Mutex<Engine>>);

/// The engine behind a connection. Public to the crate for the macros below alone.
pub(crate) enum Engine {
    Postgres(PoolConnection<Postgres>),
    PostgresUnit(Transaction<'static, Postgres>),
    Sqlite(PoolConnection<Sqlite>),
    SqliteUnit(Transaction<'static, Sqlite>),
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub enum Db {
    Postgres(PgPool),
    /// SQLite has one writer: readers are read-only connections that never stand inside a transaction, so that each
    /// statement sees the newest commit; writers queue for the one connection that may write.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
}

/// `run!(conn, query(Type?), "SQL", args…, fetch_optional)`: the same call for both engines.
macro_rules! on_engine {
    ($conn:expr, $query:ident :: <$row:ty>, $sql:expr, [$($arg:expr),*], $method:ident) => {{
        let mut engine = $conn.0.lock().await;
        match &mut *engine {
            $crate::store::db::Engine::Postgres(c) =>
                sqlx::$query::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.$method(&mut **c).await,
            $crate::store::db::Engine::PostgresUnit(c) =>
                sqlx::$query::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.$method(&mut **c).await,
            $crate::store::db::Engine::Sqlite(c) =>
                sqlx::$query::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.$method(&mut **c).await,
            $crate::store::db::Engine::SqliteUnit(c) =>
                sqlx::$query::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.$method(&mut **c).await,
        }
        .map_err($crate::store::db::store_error)
    }};
}

/// The one row of a statement; an error when there is none. `fetch_one!(conn, Row, "SQL", args…)`.
macro_rules! fetch_one {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as::<$row>, $sql, [$($arg),*], fetch_one)
    };
}

/// At most one row of a statement.
macro_rules! fetch_optional {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as::<$row>, $sql, [$($arg),*], fetch_optional)
    };
}

/// All rows of a statement that is bounded by a LIMIT.
macro_rules! fetch_all {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as::<$row>, $sql, [$($arg),*], fetch_all)
    };
}

/// Runs a statement and gives the number of rows it changed.
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $arg:expr)* $(,)?) => {{
        let mut engine = $conn.0.lock().await;
        match &mut *engine {
            $crate::store::db::Engine::Postgres(c) =>
                sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*.execute(&mut **c).await.map(|done| done.rows_affected()),
            $crate::store::db::Engine::PostgresUnit(c) =>
                sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*.execute(&mut **c).await.map(|done| done.rows_affected()),
            $crate::store::db::Engine::Sqlite(c) =>
                sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*.execute(&mut **c).await.map(|done| done.rows_affected()),
            $crate::store::db::Engine::SqliteUnit(c) =>
                sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*.execute(&mut **c).await.map(|done| done.rows_affected()),
        }
        .map_err($crate::store::db::store_error)
    }};
}

pub(crate) use {execute, fetch_all, fetch_one, fetch_optional, on_engine};

/// What a failed statement means to the rest of the program.
pub(crate) fn store_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => conflict("it exists already").caused_by(error),
        sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("40001" | "40P01")) => {
            Error::unavailable(1, &error).retrying_unit()
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Error::unavailable(1, &error),
        _ => Error::internal(&error),
    }
}

impl Db {
    /// Opens `postgres://…` or `sqlite://path`, creating the SQLite file when it is missing.
    ///
    /// # Errors
    /// An address that is neither, a store that does not answer, or PostgreSQL with `synchronous_commit = off`.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self> {
        match url.strip_prefix("sqlite://") {
            Some(path) => connect_sqlite(path).await,
            None if url.starts_with("postgres") => connect_postgres(url, max_connections).await,
            None => {
                Err(Error::invalid_field("database_url", "database_url begins with postgres:// or sqlite://"))
            }
        }
    }

    /// Brings the schema up to date; several nodes starting at once queue for it.
    pub async fn migrate(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => {
                // A lock of this transaction, never of the session: behind a pooler sessions are shared.
                let mut guard = pool.begin().await.map_err(store_error)?;
                sqlx::query("SELECT pg_advisory_xact_lock(7359171)")
                    .execute(&mut *guard)
                    .await
                    .map_err(store_error)?;
                let mut migrator = sqlx::migrate!("migrations/postgres");
                migrator.set_locking(false);
                migrator.run(pool).await.map_err(Error::internal)?;
                guard.commit().await.map_err(store_error)
            }
            Self::Sqlite { writer, .. } => {
                sqlx::migrate!("migrations/sqlite").run(writer).await.map_err(Error::internal)
            }
        }
    }

    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Runs reading statements, each of which sees the newest commit.
    pub async fn read<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let engine = match self {
            Self::Postgres(pool) => Engine::Postgres(pool.acquire().await.map_err(store_error)?),
            Self::Sqlite { readers, .. } => Engine::Sqlite(readers.acquire().await.map_err(store_error)?),
        };
        statements(Conn(Arc::new(Mutex::new(engine)))).await
    }

    /// Runs one writing statement in autocommit.
    pub async fn write<T, F, Fut>(&self, statement: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let engine = match self {
            Self::Postgres(pool) => Engine::Postgres(pool.acquire().await.map_err(store_error)?),
            Self::Sqlite { writer, .. } => Engine::Sqlite(writer.acquire().await.map_err(store_error)?),
        };
        statement(Conn(Arc::new(Mutex::new(engine)))).await
    }

    /// Runs one transaction: committed when the closure gives `Ok`, rolled back otherwise or when dropped. It runs again,
    /// at most three times in all, after a serialization failure or a deadlock.
    pub async fn unit<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut attempt = 1;
        loop {
            match self.unit_once(&statements).await {
                Err(error) if error.may_retry_unit() && attempt < 3 => attempt += 1,
                verdict => return verdict,
            }
        }
    }

    async fn unit_once<T, F, Fut>(&self, statements: &F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let engine = match self {
            Self::Postgres(pool) => Engine::PostgresUnit(pool.begin().await.map_err(store_error)?),
            Self::Sqlite { writer, .. } => {
                Engine::SqliteUnit(writer.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?)
            }
        };
        let engine = Arc::new(Mutex::new(engine));
        let value = statements(Conn(engine.clone())).await?;
        // The closure's connection is gone with its future, so this is the last handle.
        let engine = Arc::into_inner(engine)
            .ok_or_else(|| Error::internal("a unit's connection outlived the unit"))?;
        match engine.into_inner() {
            Engine::PostgresUnit(unit) => unit.commit().await.map_err(store_error)?,
            Engine::SqliteUnit(unit) => unit.commit().await.map_err(store_error)?,
            Engine::Postgres(_) | Engine::Sqlite(_) => {}
        }
        Ok(value)
    }
}

async fn connect_sqlite(path: &str) -> Result<Db> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("fullfsync", "ON")
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(30));
    let acquire = Duration::from_secs(30);
    // The writer first: it creates the file.
    let writer = SqlitePoolOptions::new().max_connections(1).acquire_timeout(acquire);
    let writer = writer.connect_with(options.clone()).await.map_err(store_error)?;
    let readers = SqlitePoolOptions::new().max_connections(4).acquire_timeout(acquire);
    let readers = readers.connect_with(options.pragma("query_only", "ON")).await.map_err(store_error)?;
    Ok(Db::Sqlite { readers, writer })
}

async fn connect_postgres(url: &str, max_connections: u32) -> Result<Db> {
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(5))
        .max_lifetime(Duration::from_secs(300))
        .test_before_acquire(false)
        .connect(url)
        .await
        .map_err(store_error)?;
    let durable: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&pool).await.map_err(store_error)?;
    if durable == "off" {
        return Err(Error::internal("synchronous_commit is off: an acknowledged sign-out could be lost"));
    }
    Ok(Db::Postgres(pool))
}
