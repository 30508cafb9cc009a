//! A connection on loan, and the macros that write one call for both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Mutex;

use crate::error::{Error, Result, conflict};

/// What every store function takes first. The lender takes the engine back when the loan ends,
/// so a connection that outlives its unit refuses instead of writing into the next one.
pub struct Conn(#[doc(hidden)] pub Arc<Mutex<Lease>>);

/// The loan behind a [`Conn`]; public for the macros alone.
#[doc(hidden)]
pub struct Lease {
    engine: Option<Engine>,
    kind: Kind,
    /// A statement failed inside the transaction: PostgreSQL refuses all that follow, so SQLite has to as well.
    failed: bool,
    /// Whether statements get a name; not behind a pooler that forgets names.
    persistent: bool,
    counters: Arc<Counters>,
}

pub(super) enum Engine {
    Postgres(PoolConnection<Postgres>),
    PostgresUnit(Transaction<'static, Postgres>),
    SqliteReader(PoolConnection<Sqlite>),
    SqliteWriter(SqliteConnection),
}

/// What a connection was lent for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Unit,
}

/// The engine's own connection, for one statement; public for the macros alone.
#[doc(hidden)]
pub enum Wire<'c> {
    Postgres(&'c mut PgConnection, bool),
    Sqlite(&'c mut SqliteConnection),
}

impl Conn {
    pub(super) fn lend(engine: Engine, kind: Kind, persistent: bool, counters: &Arc<Counters>) -> Self {
        let counters = Arc::clone(counters);
        Self(Arc::new(Mutex::new(Lease { engine: Some(engine), kind, failed: false, persistent, counters })))
    }

    /// The lender's own handle on the loan.
    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Ends the loan: gives the engine back, and whether a statement failed meanwhile.
    pub(super) async fn take(&self) -> (Option<Engine>, bool) {
        let mut lease = self.0.lock().await;
        (lease.engine.take(), lease.failed)
    }
}

impl Lease {
    /// The wire for one statement, which is counted here.
    pub fn wire(&mut self) -> Result<Wire<'_>> {
        if self.failed {
            return Err(Error::internal("a statement after a failed one in the same unit"));
        }
        let wire = match &mut self.engine {
            Some(Engine::Postgres(c)) => Wire::Postgres(c, self.persistent),
            Some(Engine::PostgresUnit(c)) => Wire::Postgres(c, self.persistent),
            Some(Engine::SqliteReader(c)) => Wire::Sqlite(c),
            Some(Engine::SqliteWriter(c)) => Wire::Sqlite(c),
            None => return Err(Error::unavailable(1, "the connection was taken back")),
        };
        self.counters.statement(self.kind);
        Ok(wire)
    }

    /// Remembers a failure that ended the transaction, and says it in the program's words.
    pub fn settle<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T> {
        self.failed |= matches!(outcome, Err(sqlx::Error::Database(_))) && self.kind == Kind::Unit;
        outcome.map_err(store_error)
    }
}

/// Statements by what they were lent for, and units by run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementCounts {
    /// Statements in [`super::Db::read`].
    pub reads: u64,
    /// Statements in [`super::Db::write`] and [`super::Db::unit`].
    pub writes: u64,
    /// Runs of units, repetitions included.
    pub units: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
    units: AtomicU64,
}

impl Counters {
    pub(super) fn unit(&self) {
        self.units.fetch_add(1, Ordering::Relaxed);
    }

    fn statement(&self, kind: Kind) {
        let counter = if kind == Kind::Read { &self.reads } else { &self.writes };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> StatementCounts {
        StatementCounts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            units: self.units.load(Ordering::Relaxed),
        }
    }
}

/// One statement on whichever engine the connection has: `$build` makes the query, `$method` runs it.
#[macro_export]
macro_rules! on_engine {
    ($conn:expr, $query:ident, [$($row:ty)?], $sql:expr, [$($arg:expr),*], $method:ident $(, $map:expr)?) => {{
        let mut lease = $conn.0.lock().await;
        let outcome = match lease.wire() {
            Ok($crate::store::db::Wire::Postgres(c, persistent)) =>
                Ok(sqlx::$query::<sqlx::Postgres $(, $row)?>($sql)$(.bind($arg))*
                    .persistent(persistent).$method(c).await $(.map($map))?),
            Ok($crate::store::db::Wire::Sqlite(c)) =>
                Ok(sqlx::$query::<sqlx::Sqlite $(, $row)?>($sql)$(.bind($arg))*.$method(c).await $(.map($map))?),
            Err(error) => Err(error),
        };
        outcome.and_then(|outcome| lease.settle(outcome))
    }};
}

/// The one row of a statement; an error when there is none. `fetch_one!(conn, Row, "SQL", args…)`.
#[macro_export]
macro_rules! fetch_one {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as, [$row], $sql, [$($arg),*], fetch_one)
    };
}

/// At most one row of a statement.
#[macro_export]
macro_rules! fetch_optional {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as, [$row], $sql, [$($arg),*], fetch_optional)
    };
}

/// All rows of a statement that is bounded by a LIMIT.
#[macro_export]
macro_rules! fetch_all {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query_as, [$row], $sql, [$($arg),*], fetch_all)
    };
}

/// Runs a statement and gives the number of rows it changed.
#[macro_export]
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::on_engine!($conn, query, [], $sql, [$($arg),*], execute, |done| done.rows_affected())
    };
}

pub use {execute, fetch_all, fetch_one, fetch_optional, on_engine};

/// What a failed statement means to the rest of the program.
///
/// A lost connection before COMMIT lost the whole unit with it, so the unit may run again.
pub(super) fn store_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => conflict("it exists already").caused_by(error),
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some("40001" | "40P01") => Error::unavailable(1, &error).retrying_unit(),
            Some(code) if is_lost(code) => Error::unavailable(1, &error).retrying_unit(),
            Some(code) if is_away(code) || is_sqlite_away(&error) => Error::unavailable(1, &error),
            _ => Error::internal(&error),
        },
        sqlx::Error::Io(_) => Error::unavailable(1, &error).retrying_unit(),
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => Error::unavailable(1, &error),
        _ => Error::internal(&error),
    }
}

/// The server ended the connection: shut down, crashed, starting, or a connection exception.
fn is_lost(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03") || (code.len() == 5 && code.starts_with("08"))
}

/// No connection to be had, or one that has become a read-only replica's.
fn is_away(code: &str) -> bool {
    matches!(code, "53300" | "25006")
}

/// SQLite's result code without its extension: busy, locked, disk trouble, disk full.
fn is_sqlite_away(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(5 | 6 | 10 | 13))
}

/// The primary result code of a SQLite error.
pub(super) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    let code = sqlx::error::DatabaseError::code(error)?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}
