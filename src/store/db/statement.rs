//! Statements as they are run: one type for all of an engine, so that what runs them, and what waits for it, is compiled once and
//! not for each of four hundred.

use std::pin::Pin;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{FromRow, Postgres, Sqlite};

use super::conn::{Conn, Wire, store_error};
use crate::error::Result;

/// A statement with its values; public for the macros alone.
#[doc(hidden)]
pub enum Statement {
    Postgres(Query<'static, Postgres, PgArguments>),
    Sqlite(Query<'static, Sqlite, SqliteArguments>),
}

/// What a statement answered; public for the macros alone.
#[doc(hidden)]
pub enum Rows {
    Postgres(Vec<PgRow>),
    Sqlite(Vec<SqliteRow>),
}

/// Boxed: whoever waits stays small.
type Running<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

fn of_another_engine<T>() -> Result<T, sqlx::Error> {
    Err(sqlx::Error::Protocol("a statement for the other engine".into()))
}

impl Conn {
    /// The first row, if there is one.
    #[doc(hidden)]
    pub fn first(&self, statement: Statement) -> Running<'_, Rows> {
        Box::pin(async move {
            let mut lease = self.0.lock().await;
            lease.pass().await;
            let row = match (lease.wire()?, statement) {
                (Wire::Postgres(conn, persistent), Statement::Postgres(query)) => {
                    let row = query.persistent(persistent).fetch_optional(conn).await;
                    row.map(|row| Rows::Postgres(row.into_iter().collect()))
                }
                (Wire::Sqlite(conn), Statement::Sqlite(query)) => {
                    let row = query.fetch_optional(conn).await;
                    row.map(|row| Rows::Sqlite(row.into_iter().collect()))
                }
                _ => of_another_engine(),
            };
            lease.settle(row)
        })
    }

    /// All rows.
    #[doc(hidden)]
    pub fn all(&self, statement: Statement) -> Running<'_, Rows> {
        Box::pin(async move {
            let mut lease = self.0.lock().await;
            lease.pass().await;
            let rows = match (lease.wire()?, statement) {
                (Wire::Postgres(conn, persistent), Statement::Postgres(query)) => {
                    query.persistent(persistent).fetch_all(conn).await.map(Rows::Postgres)
                }
                (Wire::Sqlite(conn), Statement::Sqlite(query)) => {
                    query.fetch_all(conn).await.map(Rows::Sqlite)
                }
                _ => of_another_engine(),
            };
            lease.settle(rows)
        })
    }

    /// How many rows it changed.
    #[doc(hidden)]
    pub fn changed(&self, statement: Statement) -> Running<'_, u64> {
        Box::pin(async move {
            let mut lease = self.0.lock().await;
            lease.pass().await;
            let changed = match (lease.wire()?, statement) {
                (Wire::Postgres(conn, persistent), Statement::Postgres(query)) => {
                    query.persistent(persistent).execute(conn).await.map(|done| done.rows_affected())
                }
                (Wire::Sqlite(conn), Statement::Sqlite(query)) => {
                    query.execute(conn).await.map(|done| done.rows_affected())
                }
                _ => of_another_engine(),
            };
            lease.settle(changed)
        })
    }
}

/// What both engines make a row into.
#[doc(hidden)]
pub trait FromEither: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}

impl<T> FromEither for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> {}

/// A row that does not read says nothing of the connection: the statement had ended well.
impl Rows {
    #[doc(hidden)]
    pub fn all<T: FromEither>(self) -> Result<Vec<T>> {
        let rows: Result<Vec<T>, sqlx::Error> = match self {
            Self::Postgres(rows) => rows.iter().map(T::from_row).collect(),
            Self::Sqlite(rows) => rows.iter().map(T::from_row).collect(),
        };
        rows.map_err(store_error)
    }

    #[doc(hidden)]
    pub fn optional<T: FromEither>(self) -> Result<Option<T>> {
        let row = match self {
            Self::Postgres(rows) => rows.first().map(T::from_row),
            Self::Sqlite(rows) => rows.first().map(T::from_row),
        };
        row.transpose().map_err(store_error)
    }

    #[doc(hidden)]
    pub fn one<T: FromEither>(self) -> Result<T> {
        self.optional()?.ok_or_else(|| store_error(sqlx::Error::RowNotFound))
    }
}
