//! PostgreSQL: a pool, and transactions at READ COMMITTED.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::conn::{Conn, Engine, Kind, store_error};
use super::counters::Counters;
use super::pool::{Pool, Pooled};
use super::server;
use super::work::Work;
use super::{End, Settings};
use crate::error::{Error, Result};

/// How often a unit runs again after a serialization failure, a deadlock or a lost connection.
const UNIT_RETRIES: u32 = 3;

/// Long enough to be cheap, short enough that connections follow a failover.
const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A connection that lay unused for longer is asked whether it lives before an autocommit write, which nothing repeats.
const RESTED: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct PostgresDb {
    pool: Pool<PgConnection>,
    pub(super) transaction_pooler: bool,
    /// Said once on each connection, or in each transaction when a pooler gives every one another connection.
    limits: Limits,
    /// For one call, whatever it waits for.
    call_limit: Duration,
}

/// The server's own time limits: without them a stuck peer, or a node that froze inside a transaction, holds up others.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    statement_ms: u64,
    lock_ms: u64,
}

impl Limits {
    pub(super) const NONE: Self = Self { statement_ms: 0, lock_ms: 0 };

    /// `set` is SET or SET LOCAL.
    pub(super) fn sql(self, set: &str) -> String {
        let Self { statement_ms, lock_ms } = self;
        format!(
            "{set} statement_timeout = {statement_ms}; {set} lock_timeout = {lock_ms}; \
             {set} idle_in_transaction_session_timeout = {statement_ms}"
        )
    }
}

impl PostgresDb {
    pub(super) async fn connect(settings: &Settings) -> Result<Self> {
        let mut options = PgConnectOptions::from_str(settings.url.expose()).map_err(store_error)?;
        if settings.transaction_pooler {
            options = options.statement_cache_capacity(0);
        }
        let (place, wait) = (place(&options), settings.acquire_timeout());
        let db = Self {
            pool: Pool::new(options, settings.max_connections, wait, MAX_LIFETIME),
            transaction_pooler: settings.transaction_pooler,
            limits: Limits {
                statement_ms: settings.statement_timeout_seconds * 1000,
                lock_ms: settings.lock_timeout_seconds * 1000,
            },
            call_limit: settings.call_limit(),
        };
        let mut conn = db.connection().await.map_err(|error| no_connection(&place, &error))?;
        server::check(&mut conn).await?;
        conn.give_back();
        Ok(db)
    }

    /// A connection to a primary.
    pub(super) async fn connection(&self) -> Result<Pooled<PgConnection>> {
        let mut conn = self.pool.acquire().await?;
        if conn.rested.is_none() {
            let mut greeting = "SELECT pg_is_in_recovery()".to_owned();
            if !self.transaction_pooler {
                greeting = format!("{}; {greeting}", self.limits.sql("SET"));
            }
            let row = sqlx::raw_sql(AssertSqlSafe(greeting)).fetch_one(&mut conn.conn).await;
            if row.and_then(|row| row.try_get::<bool, _>(0)).map_err(store_error)? {
                return Err(Error::unavailable(1, "this server is a replica"));
            }
        }
        Ok(conn)
    }

    pub(super) async fn read(&self, counters: &Arc<Counters>, work: &Work<'_>) -> Result<()> {
        self.limited(async {
            match self.read_once(counters, work).await {
                Err(error) if error.may_retry_unit() => self.read_once(counters, work).await,
                outcome => outcome,
            }
        })
        .await
    }

    async fn read_once(&self, counters: &Arc<Counters>, work: &Work<'_>) -> Result<()> {
        if self.transaction_pooler {
            return self.transact(counters, Kind::Read, work, End::Commit).await;
        }
        let conn = self.connection().await?;
        self.autocommit(conn, counters, Kind::Read, work).await
    }

    pub(super) async fn write(&self, counters: &Arc<Counters>, work: &Work<'_>) -> Result<()> {
        self.limited(async {
            if self.transaction_pooler {
                return self.transact(counters, Kind::Write, work, End::Commit).await;
            }
            let mut conn = self.connection().await?;
            if conn.rested.is_some_and(|rested| rested > RESTED) && conn.conn.ping().await.is_err() {
                drop(conn);
                self.pool.lost();
                conn = self.connection().await?;
            }
            self.autocommit(conn, counters, Kind::Write, work).await
        })
        .await
    }

    pub(super) async fn unit(&self, counters: &Arc<Counters>, work: &Work<'_>, end: End) -> Result<()> {
        self.limited(async {
            let mut retries = 0;
            loop {
                counters.unit();
                match self.transact(counters, Kind::Unit, work, end).await {
                    Err(error) if error.may_retry_unit() && retries < UNIT_RETRIES => retries += 1,
                    outcome => return outcome,
                }
            }
        })
        .await
    }

    /// Every statement by itself.
    async fn autocommit(
        &self,
        conn: Pooled<PgConnection>,
        counters: &Arc<Counters>,
        kind: Kind,
        work: &Work<'_>,
    ) -> Result<()> {
        let lent = Conn::lend(Engine::Postgres(conn), kind, true, counters);
        let loan = lent.share();
        let outcome = work(lent).await;
        if let (Some(conn), _) = self.end(&loan).await? {
            conn.give_back();
        }
        outcome
    }

    /// BEGIN to COMMIT. Dropped halfway, the connection is closed, and the transaction with it.
    async fn transact(&self, counters: &Arc<Counters>, kind: Kind, work: &Work<'_>, end: End) -> Result<()> {
        let begun = match self.begin().await {
            Err(error) if error.may_retry_unit() => self.begin().await?,
            begun => begun?,
        };
        let lent = Conn::lend(Engine::Postgres(begun), kind, !self.transaction_pooler, counters);
        let loan = lent.share();
        let outcome = work(lent).await;
        let (conn, failed) = self.end(&loan).await?;
        let Some(mut conn) = conn else {
            // The transaction went with its connection.
            return outcome.and_then(|_| Err(Error::internal("a unit went on without its connection")));
        };
        if outcome.is_ok() && !failed && end == End::Commit {
            say(&mut conn, "COMMIT").await.map_err(|error| self.commit_error(error))?;
            conn.give_back();
            return outcome;
        }
        if say(&mut conn, "ROLLBACK").await.is_ok() {
            conn.give_back();
        }
        if !failed && end == End::RollBack {
            return outcome;
        }
        // COMMIT would have answered without an error and rolled back.
        outcome.and_then(|_| Err(Error::internal("a unit went on after a failed statement")))
    }

    async fn begin(&self) -> Result<Pooled<PgConnection>> {
        let mut conn = self.connection().await?;
        let begun = match self.transaction_pooler {
            true => {
                let sql = format!("BEGIN; {}", self.limits.sql("SET LOCAL"));
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn.conn).await.map(drop)
            }
            false => say(&mut conn, "BEGIN").await,
        };
        begun.map_err(store_error).inspect_err(|_| self.pool.lost())?;
        Ok(conn)
    }

    /// Takes the connection back, unless it is of no use any more; and whether a statement failed.
    async fn end(&self, loan: &Conn) -> Result<(Option<Pooled<PgConnection>>, bool)> {
        let returned = loan.take().await;
        let Some(Engine::Postgres(conn)) = returned.engine else {
            return Err(Error::internal("the connection was taken from its borrower"));
        };
        if returned.broken {
            self.pool.lost();
            return Ok((None, returned.failed));
        }
        Ok((Some(conn), returned.failed))
    }

    /// After a lost COMMIT nobody knows whether it happened, so the unit must not run again; a refused one did not.
    fn commit_error(&self, error: sqlx::Error) -> Error {
        let code = error.as_database_error().and_then(|e| e.code());
        let refused = matches!(code.as_deref(), Some("40001" | "40P01"));
        match store_error(error) {
            lost if lost.may_retry_unit() && !refused => {
                self.pool.lost();
                Error::unavailable(1, lost)
            }
            other => other,
        }
    }

    /// Nobody waits for ever, not even for a server that has frozen or is behind a network that has.
    async fn limited(&self, call: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::time::timeout(self.call_limit, call).await.unwrap_or_else(|_| {
            self.pool.lost();
            Err(Error::unavailable(1, "the store did not answer in time"))
        })
    }

    pub(super) async fn is_healthy(&self) -> bool {
        let Ok(mut conn) = self.connection().await else { return false };
        let answer = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut conn.conn).await;
        let healthy = answer.is_ok_and(|row| row.try_get::<bool, _>(0).is_ok_and(|replica| !replica));
        if healthy {
            conn.give_back();
        }
        healthy
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Where the server is, without names and passwords.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// What the operator reads when the program cannot start.
fn no_connection(place: &str, error: &Error) -> Error {
    let why = error.cause().map(|cause| format!("{cause:#}")).unwrap_or_default();
    Error::unavailable(1, format!("no connection to the database at {place}: {why}"))
}

/// A statement without parameters or rows, in the simple protocol: it leaves no prepared statement behind.
async fn say(conn: &mut Pooled<PgConnection>, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(&mut conn.conn).await.map(drop)
}
