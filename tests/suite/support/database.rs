//! A database of its own for each test, on either engine.

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tessera::clock::Clock;
use tessera::entropy::Entropy;
use tessera::store::db::{Db, Settings};
use tokio::sync::OnceCell;
use url::Url;

use super::{Engine, Pooler};

/// The bytes of a SQLite file with the schema, and the name of a PostgreSQL database with it: migrated once, copied
/// for every test.
static SQLITE_SCHEMA: OnceCell<Vec<u8>> = OnceCell::const_new();
static POSTGRES_SCHEMA: OnceCell<String> = OnceCell::const_new();

/// An empty database, and a data directory. A SQLite one goes with this value, so keep it as long as the store is used.
pub struct Database {
    pub url: String,
    behind_pooler: bool,
    directory: TempDir,
}

impl Database {
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}/test.db", directory.path().display());
                Self { url, behind_pooler: false, directory }
            }
            Engine::Postgres => Self::at(postgres_url("").await),
        }
    }

    /// A database with the schema and nothing in it.
    pub async fn with_schema(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let schema = SQLITE_SCHEMA.get_or_init(sqlite_schema).await;
                let database = Self::new(engine).await;
                std::fs::write(database.directory.path().join("test.db"), schema).unwrap();
                database
            }
            Engine::Postgres => Self::from_template(POSTGRES_SCHEMA.get_or_init(postgres_schema).await).await,
        }
    }

    /// One that is there already.
    pub(super) fn at(url: String) -> Self {
        Self { url, behind_pooler: false, directory: tempfile::tempdir().unwrap() }
    }

    /// The same PostgreSQL database, reached through a pooler in transaction mode.
    pub fn through(&self, pooler: &Pooler) -> Self {
        Self { behind_pooler: true, ..Self::at(pooler.url(self)) }
    }

    /// A copy of a PostgreSQL database that nobody is connected to.
    pub(super) async fn from_template(name: &str) -> Self {
        Self::at(postgres_url(&format!("TEMPLATE {name}")).await)
    }

    /// Where a program over this database keeps its files.
    pub fn data_dir(&self) -> String {
        self.directory.path().display().to_string()
    }

    pub fn settings(&self) -> Settings {
        Settings { transaction_pooler: self.behind_pooler, ..Settings::new(&self.url) }
    }

    /// A database with the schema, and the store over it.
    pub async fn migrated(engine: Engine) -> (Self, Db) {
        let database = Self::with_schema(engine).await;
        let db = Db::connect(&database.settings()).await.unwrap();
        (database, db)
    }

    /// An empty one, brought to today's schema and closed again.
    async fn migrated_once(engine: Engine) -> Self {
        let database = Self::new(engine).await;
        let db = Db::connect(&database.settings()).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        database
    }
}

async fn sqlite_schema() -> Vec<u8> {
    let database = Database::migrated_once(Engine::Sqlite).await;
    std::fs::read(database.directory.path().join("test.db")).unwrap()
}

async fn postgres_schema() -> String {
    let database = Database::migrated_once(Engine::Postgres).await;
    Url::parse(&database.url).unwrap().path().trim_start_matches('/').to_owned()
}

async fn postgres_url(template: &str) -> String {
    let server = std::env::var("TESSERA_TEST_POSTGRES").expect(
        "TESSERA_TEST_POSTGRES is not set: run the tests with scripts/test, which starts a PostgreSQL, \
         or set it to the url of a cluster's superuser",
    );
    let name = format!("t{}", Entropy::default().id::<uuid::Uuid>(Clock::System.now()).unwrap().simple());
    let mut conn = PgConnection::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} {template}"));
    sqlx::raw_sql(create).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    url.into()
}
