//! The only file that knows which engine runs: connections, units of work, and the macro that writes one call for both.
//!
//! - [`Db::read`]: statements that only read, each seeing the newest commit.
//! - [`Db::write`]: one writing statement in autocommit.
//! - [`Db::unit`]: one transaction; the closure may run again, so it has no side effects outside the store.

use std::future::Future;
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};
use tokio::sync::Mutex;

use crate::error::{Error, Result, conflict};

/// A connection on loan: what every store function takes first.
pub struct Conn(pub(crate) Arc<Mutex<Engine>>);

/// The engine behind a connection. Public to the crate for the macros below alone.
pub(crate) enum Engine {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

/// The store.
#[derive(Clone)]
pub enum Db {
    Postgres(sqlx::PgPool),
    Sqlite(sqlx::SqlitePool),
}

/// `run!(conn, query(Type?), "SQL", args…, fetch_optional)`: the same call for both engines.
macro_rules! on_engine {
    ($conn:expr, $query:ident :: <$row:ty>, $sql:expr, [$($arg:expr),*], $method:ident) => {{
        let mut engine = $conn.0.lock().await;
        match &mut *engine {
            $crate::store::db::Engine::Postgres(c) =>
                sqlx::$query::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.$method(&mut **c).await,
            $crate::store::db::Engine::Sqlite(c) =>
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
            $crate::store::db::Engine::Sqlite(c) =>
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
    /// Runs reading statements; the closure may run again when a connection turns out to be closed.
    pub async fn read<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        statements(self.connection().await?).await
    }

    /// Runs one writing statement in autocommit.
    pub async fn write<T, F, Fut>(&self, statement: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        statement(self.connection().await?).await
    }

    /// Runs one transaction: committed when the closure gives `Ok`, rolled back otherwise.
    pub async fn unit<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let conn = self.connection().await?;
        let handle = Conn(conn.0.clone());
        execute!(handle, "BEGIN")?;
        match statements(conn).await {
            Ok(value) => {
                execute!(handle, "COMMIT")?;
                Ok(value)
            }
            Err(error) => {
                execute!(handle, "ROLLBACK")?;
                Err(error)
            }
        }
    }

    async fn connection(&self) -> Result<Conn> {
        let engine = match self {
            Self::Postgres(pool) => Engine::Postgres(pool.acquire().await.map_err(store_error)?),
            Self::Sqlite(pool) => Engine::Sqlite(pool.acquire().await.map_err(store_error)?),
        };
        Ok(Conn(Arc::new(Mutex::new(engine))))
    }
}
