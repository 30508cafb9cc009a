//! The schema's history, embedded in the program. Nodes that start at once take their turns.

use std::time::Instant;

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::conn::{fetch_all, fetch_one, sqlite_code, store_error};
use super::postgres::{Limits, PostgresDb};
use super::writer::{BUSY_LIMIT, pause};
use super::{Backend, Db};
use crate::error::{Error, Result};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// Ours among the advisory locks of a shared cluster: "tessera" in ASCII.
const LOCK: i64 = 0x74_65_73_73_65_72_61;

impl Db {
    /// Brings the schema up to this program, all in one transaction.
    pub async fn migrate(&self) -> Result<()> {
        match &self.backend {
            // Two reads where the migrator takes a dozen statements.
            Backend::Postgres(_) if self.is_up_to_date().await? => Ok(()),
            Backend::Postgres(db) => db.migrate(&unlocked(&POSTGRES)).await,
            Backend::Sqlite(db) => {
                let mut conn = SqliteConnection::connect_with(&db.options).await.map_err(store_error)?;
                let begun = Instant::now();
                let mut transaction = loop {
                    match conn.begin_with("BEGIN IMMEDIATE").await {
                        Err(e) if sqlite_code(&e) == Some(5) && begun.elapsed() < BUSY_LIMIT => {
                            pause().await;
                        }
                        begun => break begun.map_err(store_error)?,
                    }
                };
                unlocked(&SQLITE).run(&mut *transaction).await.map_err(Error::internal)?;
                transaction.commit().await.map_err(store_error)?;
                conn.close().await.map_err(store_error)
            }
        }
    }

    /// Whether the schema's history is this program's, to the checksums.
    async fn is_up_to_date(&self) -> Result<bool> {
        let known = self.migrator().iter().map(|migration| (migration.version, &*migration.checksum));
        Ok(self.applied_migrations().await?.iter().map(|(version, sum)| (*version, &sum[..])).eq(known))
    }

    /// How many migrations this program has that the schema does not.
    pub async fn pending_migrations(&self) -> Result<usize> {
        let applied = self.applied_migrations().await?;
        let is_pending = |version: i64| applied.iter().all(|(applied, _)| *applied != version);
        Ok(self.migrator().iter().filter(|migration| is_pending(migration.version)).count())
    }

    fn migrator(&self) -> &'static Migrator {
        match &self.backend {
            Backend::Postgres(_) => &POSTGRES,
            Backend::Sqlite(_) => &SQLITE,
        }
    }

    /// Those that succeeded, by version, with the checksums of their texts.
    async fn applied_migrations(&self) -> Result<Vec<(i64, Vec<u8>)>> {
        let table = match &self.backend {
            Backend::Postgres(_) => {
                "SELECT count(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations') AND has_table_privilege(oid, 'SELECT')"
            }
            Backend::Sqlite(_) => "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        };
        self.read(|conn| async move {
            let (tables,) = fetch_one!(conn, (i64,), table)?;
            if tables == 0 {
                return Ok(Vec::new());
            }
            fetch_all!(
                conn,
                (i64, Vec<u8>),
                "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version LIMIT 10000"
            )
        })
        .await
    }
}

impl PostgresDb {
    /// Runs the migrations in one transaction that holds the lock, on one connection, without time limits: sqlx's own
    /// lock is the session's, which a pooler in transaction mode gives to someone else.
    async fn migrate(&self, migrator: &Migrator) -> Result<()> {
        let mut conn = self.connection().await?;
        let mut transaction = conn.conn.begin().await.map_err(store_error)?;
        let begin = format!("{}; SELECT pg_advisory_xact_lock({LOCK})", Limits::NONE.sql("SET LOCAL"));
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *transaction).await.map_err(store_error)?;
        // sqlx names the statements of its migrator: behind a pooler, the next node would find the names taken.
        let forget = if self.transaction_pooler { "DEALLOCATE ALL" } else { "" };
        sqlx::raw_sql(forget).execute(&mut *transaction).await.map_err(store_error)?;
        migrator.run(&mut *transaction).await.map_err(Error::internal)?;
        sqlx::raw_sql(forget).execute(&mut *transaction).await.map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        conn.give_back();
        Ok(())
    }
}

/// The same migrations without sqlx's session lock.
fn unlocked(migrator: &Migrator) -> Migrator {
    let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_locking(false);
    migrator
}
