//! PostgreSQL: a pool, and transactions at READ COMMITTED.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool, Postgres, Row, Transaction};

use super::Settings;
use super::conn::{Conn, Counters, Engine, Kind, store_error};
use crate::error::{Error, Result};

/// Long enough to be cheap, short enough that connections follow a failover.
const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);

#[derive(Clone)]
pub(super) struct PostgresDb {
    pub(super) pool: PgPool,
    transaction_pooler: bool,
    max_connections: u32,
}

impl PostgresDb {
    pub(super) async fn connect(settings: &Settings) -> Result<Self> {
        let mut options = PgConnectOptions::from_str(settings.url.expose()).map_err(store_error)?;
        if settings.transaction_pooler {
            options = options.statement_cache_capacity(0);
        }
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout())
            .max_lifetime(MAX_LIFETIME)
            // The ping before each use costs a quarter of the reads; a closed connection is met by trying once more.
            .test_before_acquire(false)
            .after_connect(|conn, _| {
                Box::pin(async move {
                    let row = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(conn).await?;
                    if row.try_get::<bool, _>(0)? {
                        return Err(sqlx::Error::Protocol("this server is a replica".into()));
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await
            .map_err(store_error)?;
        let row = sqlx::raw_sql("SHOW synchronous_commit").fetch_one(&pool).await.map_err(store_error)?;
        if row.try_get::<String, _>(0).map_err(store_error)? == "off" {
            pool.close().await;
            return Err(Error::internal("synchronous_commit is off: a crash would undo what was answered"));
        }
        Ok(Self {
            pool,
            transaction_pooler: settings.transaction_pooler,
            max_connections: settings.max_connections,
        })
    }

    pub(super) async fn read<T, F, Fut>(&self, counters: &Arc<Counters>, statements: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        match self.read_once(counters, &statements).await {
            Err(error) if error.may_retry_unit() => {
                self.drop_closed().await;
                self.read_once(counters, &statements).await
            }
            outcome => outcome,
        }
    }

    async fn read_once<T, F, Fut>(&self, counters: &Arc<Counters>, statements: &F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let engine = if self.transaction_pooler {
            Engine::PostgresUnit(self.begin().await?)
        } else {
            Engine::Postgres(self.pool.acquire().await.map_err(store_error)?)
        };
        statements(Conn::lend(engine, Kind::Read, !self.transaction_pooler, counters)).await
    }

    pub(super) async fn write<T, F, Fut>(&self, counters: &Arc<Counters>, statement: F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        if self.transaction_pooler {
            return self.transact(counters, Kind::Write, &statement).await;
        }
        let engine = Engine::Postgres(self.pool.acquire().await.map_err(store_error)?);
        statement(Conn::lend(engine, Kind::Write, true, counters)).await
    }

    pub(super) async fn unit<T, F, Fut>(&self, counters: &Arc<Counters>, statements: &F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.transact(counters, Kind::Unit, statements).await
    }

    /// BEGIN to COMMIT. Dropped halfway, the transaction rolls back before the connection serves anyone else.
    async fn transact<T, F, Fut>(&self, counters: &Arc<Counters>, kind: Kind, statements: &F) -> Result<T>
    where
        F: Fn(Conn) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let begun = match self.begin().await {
            Err(error) if error.may_retry_unit() => {
                self.drop_closed().await;
                self.begin().await?
            }
            begun => begun?,
        };
        let conn = Conn::lend(Engine::PostgresUnit(begun), kind, !self.transaction_pooler, counters);
        let handle = conn.share();
        let outcome = statements(conn).await;
        let (engine, failed) = handle.take().await;
        let Some(Engine::PostgresUnit(transaction)) = engine else {
            return Err(Error::internal("the transaction was taken from its unit"));
        };
        let value = outcome?;
        if failed {
            // COMMIT would answer without an error and roll back.
            return Err(Error::internal("a unit went on after a failed statement"));
        }
        transaction.commit().await.map_err(commit_error)?;
        Ok(value)
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        self.pool.begin().await.map_err(store_error)
    }

    /// After a restart of the server every idle connection is dead: finds out, so that the next try gets a live one.
    async fn drop_closed(&self) {
        for _ in 0..self.max_connections {
            let Some(mut conn) = self.pool.try_acquire() else { return };
            if conn.ping().await.is_ok() {
                return;
            }
            let _ = conn.detach().close_hard().await;
        }
    }

    pub(super) async fn is_healthy(&self) -> bool {
        let Ok(mut transaction) = self.pool.begin().await else { return false };
        let answer = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut *transaction).await;
        answer.is_ok_and(|row| row.try_get::<bool, _>(0).is_ok_and(|replica| !replica))
    }
}

/// After a lost COMMIT nobody knows whether it happened, so the unit must not run again; a refused one did not.
fn commit_error(error: sqlx::Error) -> Error {
    let refused =
        error.as_database_error().is_some_and(|e| matches!(e.code().as_deref(), Some("40001" | "40P01")));
    match store_error(error) {
        lost if lost.may_retry_unit() && !refused => Error::unavailable(1, lost),
        other => other,
    }
}
