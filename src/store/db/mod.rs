//! The only module that knows which engine runs: connections, units of work, and the macros that write one call for both.
//!
//! - [`Db::read`]: statements that only read, each seeing the newest commit.
//! - [`Db::write`]: one writing statement in autocommit.
//! - [`Db::unit`]: one transaction; the closure may run again, so it has no side effects outside the store.

mod conn;
mod counters;
mod migrate;
mod pool;
mod postgres;
mod server;
mod sqlite;
mod statement;
mod work;
mod writer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use self::conn::Kind;
pub use self::conn::{Conn, execute, fetch_all, fetch_one, fetch_optional};
#[doc(hidden)]
pub use self::conn::{EngineName, Lease, Wire, statement};
use self::counters::Counters;
pub use self::counters::{Held, StatementCounts};
use self::postgres::PostgresDb;
use self::sqlite::SqliteDb;
#[doc(hidden)]
pub use self::statement::{FromEither, Rows, Statement};
use self::work::{Answer, Work};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A health check that takes longer than this is an answer too.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the store is and how it is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://…` or `sqlite:///path/file.db`; a password may stand in it.
    pub url: Secret,
    pub max_connections: u32,
    /// How long a call waits for a connection, or for its turn at SQLite's writer.
    pub acquire_timeout_seconds: u64,
    /// How long PostgreSQL may work on one statement, waiting included; a call as a whole has this and the wait above.
    pub statement_timeout_seconds: u64,
    /// How long a statement may wait for a lock in PostgreSQL.
    pub lock_timeout_seconds: u64,
    /// A pooler in transaction mode stands before PostgreSQL and does not follow named statements.
    pub transaction_pooler: bool,
    /// Whether a SQLite file that is not there is made.
    pub create: bool,
}

impl Settings {
    /// The defaults for everything but the place: a request has its answer within ten seconds.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            max_connections: 10,
            acquire_timeout_seconds: 5,
            statement_timeout_seconds: 4,
            lock_timeout_seconds: 3,
            transaction_pooler: false,
            create: true,
        }
    }

    /// For a command beside a busy server: nobody waits for its answer, so it waits longer for its turn.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { acquire_timeout_seconds: 30, statement_timeout_seconds: 30, lock_timeout_seconds: 30, ..self }
    }

    fn acquire_timeout(&self) -> Duration {
        Duration::from_secs(self.acquire_timeout_seconds)
    }

    fn call_limit(&self) -> Duration {
        Duration::from_secs(self.acquire_timeout_seconds + self.statement_timeout_seconds)
    }
}

tokio::task_local! {
    /// The stores that this task is inside a call of.
    static INSIDE: Vec<usize>;
    /// There while nothing that the task writes is to stay.
    static REHEARSING: ();
}

/// How a call that ends well ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    /// As in [`Db::rehearse`].
    RollBack,
}

impl End {
    fn of_this_task() -> Self {
        if REHEARSING.try_with(|()| ()).is_ok() { Self::RollBack } else { Self::Commit }
    }
}

/// The store; cloning it shares the connections.
#[derive(Clone)]
pub struct Db {
    backend: Backend,
    counters: Arc<Counters>,
    call_limit: Duration,
}

#[derive(Clone)]
enum Backend {
    Postgres(PostgresDb),
    Sqlite(Arc<SqliteDb>),
}

impl Db {
    /// Opens the store and refuses one that would lose commits.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let backend = match settings.url.expose().split_once(':') {
            Some(("postgres" | "postgresql", _)) => Backend::Postgres(PostgresDb::connect(settings).await?),
            Some(("sqlite", _)) => Backend::Sqlite(Arc::new(SqliteDb::connect(settings).await?)),
            _ => return Err(Error::internal("the database url begins with neither postgres: nor sqlite:")),
        };
        Ok(Self { backend, counters: Arc::default(), call_limit: settings.call_limit() })
    }

    /// Runs reading statements; the closure runs once more when a connection turns out to be closed.
    pub async fn read<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        T: Send,
        F: Fn(Conn) -> Fut + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let answer = Answer::new();
        self.call(Kind::Read, &|conn| answer.of(statements(conn))).await?;
        answer.take()
    }

    /// Runs one writing statement in autocommit. It is never repeated: a lost connection leaves its outcome open.
    pub async fn write<T, F, Fut>(&self, statement: F) -> Result<T>
    where
        T: Send,
        F: Fn(Conn) -> Fut + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let answer = Answer::new();
        self.call(Kind::Write, &|conn| answer.of(statement(conn))).await?;
        answer.take()
    }

    /// Runs one transaction: committed when the closure gives `Ok`, rolled back otherwise or when dropped.
    pub async fn unit<T, F, Fut>(&self, statements: F) -> Result<T>
    where
        T: Send,
        F: Fn(Conn) -> Fut + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let answer = Answer::new();
        self.call(Kind::Unit, &|conn| answer.of(statements(conn))).await?;
        answer.take()
    }

    /// Runs an act as it would run, with every answer that it would get, and takes back whatever it writes: each call of the
    /// store by itself, so a later one does not see what an earlier one wrote.
    pub async fn rehearse<T>(&self, act: impl Future<Output = T>) -> T {
        REHEARSING.scope((), act).await
    }

    /// Boxed, so that it is compiled once and whoever waits for it stays small.
    ///
    /// A call inside another one of the same store is refused. It would wait for a connection while it keeps one from
    /// others, and on SQLite for the writer that it holds itself.
    fn call<'c>(
        &'c self,
        kind: Kind,
        work: &'c Work<'c>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'c>> {
        Box::pin(async move {
            let this = Arc::as_ptr(&self.counters) as usize;
            let mut inside = INSIDE.try_with(Clone::clone).unwrap_or_default();
            if inside.contains(&this) {
                return Err(Error::internal("a call of the store inside another one: use its connection"));
            }
            inside.push(this);
            INSIDE.scope(inside, self.run(kind, work)).await
        })
    }

    async fn run(&self, kind: Kind, work: &Work<'_>) -> Result<()> {
        let end = End::of_this_task();
        match (&self.backend, kind) {
            (Backend::Postgres(db), Kind::Read) => db.read(&self.counters, work).await,
            (Backend::Postgres(db), Kind::Write) if end == End::Commit => {
                db.write(&self.counters, work).await
            }
            (Backend::Postgres(db), Kind::Write | Kind::Unit) => db.unit(&self.counters, work, end).await,
            (Backend::Sqlite(db), Kind::Read) => db.read(&self.counters, work).await,
            (Backend::Sqlite(db), Kind::Write) => db.unit(&self.counters, kind, work, end).await,
            (Backend::Sqlite(db), Kind::Unit) => {
                self.counters.unit();
                db.unit(&self.counters, kind, work, end).await
            }
        }
    }

    /// Whether one statement for the writes of many saves each of them a COMMIT. On SQLite they share one anyway; in a rehearsal
    /// a write is to be taken back alone.
    pub fn writes_together(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_)) && End::of_this_task() == End::Commit
    }

    /// Whether the store answers, and as a primary.
    pub async fn is_healthy(&self) -> bool {
        let answer = async {
            match &self.backend {
                Backend::Postgres(db) => db.is_healthy().await,
                Backend::Sqlite(db) => db.is_healthy().await,
            }
        };
        tokio::time::timeout(HEALTH_TIMEOUT, answer).await.unwrap_or(false)
    }

    /// The longest that one call takes, its wait included.
    pub fn call_limit(&self) -> Duration {
        self.call_limit
    }

    /// Ends the connections; what is under way is finished first.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Postgres(db) => db.close().await,
            Backend::Sqlite(db) => db.close().await,
        }
    }

    /// How many statements ran so far: tests hold hot paths to a number.
    pub fn statements(&self) -> StatementCounts {
        self.counters.counts()
    }

    /// From now on, each statement waits until its [`Held`] is dropped, as long as the receiver is kept: tests stop a call
    /// between any two of its statements. Only the first call for a store gets them.
    pub fn hold_statements(&self) -> UnboundedReceiver<Held> {
        self.counters.hold()
    }
}
