//! A connection on loan, and the macros that write one call for both engines.

use std::sync::Arc;

use sqlx::{PgConnection, SqliteConnection};
use tokio::sync::Mutex;

use super::counters::Counters;
use super::pool::Pooled;
use crate::error::{Error, Result, conflict, invalid_request};

/// What every store function takes first. The lender takes the engine back when the loan ends,
/// so a connection that outlives its unit refuses instead of writing into the next one.
pub struct Conn(#[doc(hidden)] pub Arc<Mutex<Lease>>, #[doc(hidden)] pub EngineName);

/// Which engine a connection is of; public for the macros alone.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum EngineName {
    Postgres,
    Sqlite,
}

/// The loan behind a [`Conn`]; public for the macros alone.
#[doc(hidden)]
pub struct Lease {
    engine: Option<Engine>,
    kind: Kind,
    /// A statement failed inside the transaction: PostgreSQL refuses all that follow, so SQLite has to as well.
    failed: bool,
    /// A statement has begun and not ended: it is running, it was dropped, or the connection was lost under it.
    open: bool,
    statements: u32,
    /// Whether statements get a name; not behind a pooler that forgets names.
    persistent: bool,
    counters: Arc<Counters>,
}

pub(super) enum Engine {
    Postgres(Pooled<PgConnection>),
    SqliteReader(Pooled<SqliteConnection>),
    SqliteWriter(SqliteConnection),
}

/// What is left of a loan when it ends.
pub(super) struct Returned {
    pub(super) engine: Option<Engine>,
    /// See [`Lease`]: a unit must not commit.
    pub(super) failed: bool,
    /// The connection is in nobody knows what state.
    pub(super) broken: bool,
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
        let name = match &engine {
            Engine::Postgres(_) => EngineName::Postgres,
            Engine::SqliteReader(_) | Engine::SqliteWriter(_) => EngineName::Sqlite,
        };
        let (engine, counters) = (Some(engine), Arc::clone(counters));
        let lease = Lease { engine, kind, failed: false, open: false, statements: 0, persistent, counters };
        Self(Arc::new(Mutex::new(lease)), name)
    }

    /// The lender's own handle on the loan.
    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0), self.1)
    }

    /// Ends the loan.
    pub(super) async fn take(&self) -> Returned {
        let mut lease = self.0.lock().await;
        Returned { engine: lease.engine.take(), failed: lease.failed, broken: lease.open }
    }
}

impl Lease {
    /// The place before each statement where a watcher may hold it.
    pub async fn pass(&mut self) {
        self.counters.pass().await;
    }

    /// The wire for one statement, which is counted here.
    pub fn wire(&mut self) -> Result<Wire<'_>> {
        if self.failed {
            return Err(Error::internal("a statement after a failed one in the same unit"));
        }
        if self.open {
            return Err(Error::internal("a statement after one that was dropped or lost its connection"));
        }
        if self.kind == Kind::Write && self.statements > 0 {
            return Err(Error::internal("a second statement in autocommit: this wants to be a unit"));
        }
        let wire = match &mut self.engine {
            Some(Engine::Postgres(c)) => Wire::Postgres(&mut c.conn, self.persistent),
            Some(Engine::SqliteReader(c)) => Wire::Sqlite(&mut c.conn),
            Some(Engine::SqliteWriter(c)) => Wire::Sqlite(c),
            None => return Err(Error::unavailable(1, "the connection was taken back")),
        };
        self.open = true;
        self.statements += 1;
        self.counters.statement(self.kind);
        Ok(wire)
    }

    /// Remembers a failure that ended the transaction, and says it in the program's words.
    pub fn settle<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T> {
        self.failed |= matches!(outcome, Err(sqlx::Error::Database(_))) && self.kind == Kind::Unit;
        self.open = outcome.as_ref().is_err_and(leaves_in_doubt);
        outcome.map_err(store_error)
    }
}

/// A statement with its values, for the engine that the connection has.
#[macro_export]
macro_rules! statement {
    ($conn:expr, $sql:expr $(, $arg:expr)*) => {
        match $conn.1 {
            $crate::store::db::EngineName::Postgres =>
                $crate::store::db::Statement::Postgres(sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*),
            $crate::store::db::EngineName::Sqlite =>
                $crate::store::db::Statement::Sqlite(sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*),
        }
    };
}

/// The one row of a statement; an error when there is none. `fetch_one!(conn, Row, "SQL", args…)`.
#[macro_export]
macro_rules! fetch_one {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $conn.first($crate::store::db::statement!($conn, $sql $(, $arg)*)).await.and_then(|rows| rows.one::<$row>())
    };
}

/// At most one row of a statement.
#[macro_export]
macro_rules! fetch_optional {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $conn.first($crate::store::db::statement!($conn, $sql $(, $arg)*)).await.and_then(|rows| rows.optional::<$row>())
    };
}

/// All rows of a statement that is bounded by a LIMIT.
#[macro_export]
macro_rules! fetch_all {
    ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        $conn.all($crate::store::db::statement!($conn, $sql $(, $arg)*)).await.and_then(|rows| rows.all::<$row>())
    };
}

/// Runs a statement and gives the number of rows it changed.
#[macro_export]
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        $conn.changed($crate::store::db::statement!($conn, $sql $(, $arg)*)).await
    };
}

pub use {execute, fetch_all, fetch_one, fetch_optional, statement};

/// What a failed statement means to the rest of the program.
///
/// A lost connection before COMMIT lost the whole unit with it, so the unit may run again.
pub(super) fn store_error(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|e| e.code());
    match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => conflict("it exists already").caused_by(error),
        // PostgreSQL holds no NUL in a text. Whoever takes texts in refuses it by name; this is the net below.
        _ if code.as_deref() == Some("22021") => {
            invalid_request("a text holds a character that cannot be stored").caused_by(error)
        }
        // The role lacks a privilege, which some are meant to lack.
        _ if code.as_deref() == Some("42501") => Error::internal(&error).not_permitted(),
        // What a row refers to went, or what goes is referred to, at the same time: a second run sees it.
        sqlx::Error::Database(e) if e.is_foreign_key_violation() => Error::internal(&error).retrying_unit(),
        _ if is_lost(&error) || matches!(code.as_deref(), Some("40001" | "40P01")) => {
            Error::unavailable(1, &error).retrying_unit()
        }
        _ if code.is_some_and(|code| is_too_busy(&code)) || is_sqlite_away(&error) => {
            Error::unavailable(1, &error)
        }
        sqlx::Error::WorkerCrashed => Error::unavailable(1, &error),
        _ => Error::internal(&error),
    }
}

/// No connection, whatever the server says about it: it cannot be reached now. One that is there, but refuses for
/// want of places or while it starts, may be asked again; so may one whose last answer was the end of the connection.
pub(super) fn connect_error(error: sqlx::Error) -> Error {
    match is_lost(&error) {
        true => Error::unavailable(1, error).retrying_unit(),
        false => Error::unavailable(1, error),
    }
}

/// The connection is gone, or is no longer what it was: shut down, crashed, starting, idle for too long inside a
/// transaction (25P03), turned into a replica's (25006), or a connection exception, which is what poolers say.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006")
                || (code.len() == 5 && code.starts_with("08"))
        }),
        _ => false,
    }
}

/// After an answer that was understood the connection can be used again, and after no other.
fn leaves_in_doubt(error: &sqlx::Error) -> bool {
    is_lost(error) || !matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound)
}

/// A time limit (57014, 55P03), or the server lacks connections, memory or disk (classes 53 and 58).
fn is_too_busy(code: &str) -> bool {
    code.len() == 5 && (matches!(code, "57014" | "55P03") || code.starts_with("53") || code.starts_with("58"))
}

/// SQLite's result code without its extension: busy, locked, interrupted, disk trouble, disk full.
fn is_sqlite_away(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(5 | 6 | 9 | 10 | 13))
}

/// The primary result code of a SQLite error.
pub(super) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    let code = sqlx::error::DatabaseError::code(error)?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}
