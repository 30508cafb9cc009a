//! What tests share: a database of its own for each, on either engine.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tessera::store::db::{Db, Settings};

/// A migrated SQLite store; the directory goes when the guard is dropped.
pub async fn sqlite_db() -> (TempDir, Db) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::connect(&sqlite_settings(&directory)).await.unwrap();
    db.migrate().await.unwrap();
    (directory, db)
}

pub fn sqlite_settings(directory: &TempDir) -> Settings {
    Settings::new(format!("sqlite://{}", directory.path().join("tessera.db").display()))
}

/// A migrated PostgreSQL store in a database of its own.
pub async fn postgres_db() -> Db {
    let db = Db::connect(&Settings::new(postgres_url().await)).await.unwrap();
    db.migrate().await.unwrap();
    db
}

/// The url of a new, empty database.
pub async fn postgres_url() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let cluster = std::env::var("TESSERA_TEST_POSTGRES").expect(
        "TESSERA_TEST_POSTGRES is not set: run the tests with scripts/test, which starts a PostgreSQL, \
         or set it to the url of a cluster's superuser",
    );
    let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut conn = PgConnection::connect(&cluster).await.unwrap();
    for sql in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    }
    let mut url = url::Url::parse(&cluster).unwrap();
    url.set_path(&name);
    url.into()
}

/// One test body for both engines, as the tests `name::on_sqlite` and `name::on_postgres`:
/// `both_engines! { async fn name(db: Db) { … } }`.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: Db) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every body needs what its file imports")]
            use super::*;

            $(#[$attribute])*
            async fn body($db: tessera::store::db::Db) $body

            #[tokio::test]
            async fn on_sqlite() {
                let (_directory, db) = $crate::store_support::sqlite_db().await;
                body(db).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                body($crate::store_support::postgres_db().await).await;
            }
        }
    )*};
}
