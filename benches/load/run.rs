//! The run: the server on each engine, each figure between two bare ones.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::beside::{Bare, Kind};
use crate::drive;
use crate::repeated::scenarios;
use crate::report::{Figure, Report, Row, Single};
use crate::server::Server;

#[derive(Args)]
pub struct Options {
    /// A PostgreSQL whose databases may be made and dropped; without it only SQLite is measured.
    #[arg(long)]
    pub postgres: Option<String>,
    /// Seconds for each scenario.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Only the scenarios whose name contains this, such as "login".
    #[arg(long, default_value = "")]
    pub only: String,
    /// For machines.
    #[arg(long)]
    pub json: bool,
    /// Projects of the large store (growth).
    #[arg(long, default_value_t = 20_000)]
    pub projects: usize,
    /// Token families of the large store (growth).
    #[arg(long, default_value_t = 300_000)]
    pub families: usize,
}

/// # Errors
/// A scenario that cannot be measured; a goal that is missed, after the report.
pub async fn run(options: Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut report = Report::default();
    let bare = Bare::new(scratch.path(), options.postgres.as_deref(), options.seconds)?;
    let sqlite = Engine { name: "sqlite", updates: Kind::Sqlite, verify: 0.25, user_info: 0.20 };
    sqlite.run(&options, scratch.path(), None, &bare, &mut report).await?;
    if let Some(postgres) = &options.postgres {
        let url = database(postgres, "tessera_bench").await?;
        let engine = Engine { name: "postgres", updates: Kind::Postgres, verify: 0.15, user_info: 0.12 };
        engine.run(&options, scratch.path(), Some(&url), &bare, &mut report).await?;
    }
    report.singles.extend(bare.singles());
    report.print(options.json)?;
    let missed = report.rows.iter().any(Row::fails) || report.singles.iter().any(Single::fails);
    ensure!(!missed, "a goal is missed");
    Ok(())
}

/// An empty database of this name.
pub async fn database(postgres: &str, name: &str) -> Result<String> {
    let pool = sqlx::PgPool::connect(postgres).await?;
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await?;
    }
    let mut url = url::Url::parse(postgres)?;
    url.set_path(name);
    Ok(url.into())
}

/// An engine, and the goals of what only reads, as ratios to "hello".
struct Engine {
    name: &'static str,
    updates: Kind,
    verify: f64,
    user_info: f64,
}

impl Engine {
    async fn run(
        &self,
        options: &Options,
        scratch: &Path,
        database_url: Option<&str>,
        bare: &Bare<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let data = scratch.join(self.name);
        drop(Server::start(&data, database_url).await?);
        // The second start finds an existing store.
        let server = Server::start(&data, database_url).await?;
        let mut single = |name: &str, value: f64, unit, limit| {
            let name = format!("{}: {name}", self.name);
            report.singles.push(Single { name, value, unit, limit: Some(limit) });
        };
        single("first answer after start", server.first_answer.as_secs_f64() * 1e3, "ms", 100.0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        single("resident memory, idle", server.resident()?, "MiB", 25.0);
        for scenario in scenarios(&server).await? {
            if !scenario.name.contains(&options.only) {
                continue;
            }
            let goal = match scenario.name {
                "verifyaccesstoken" => Some(self.verify),
                "userinfofromaccesstoken" => Some(self.user_info),
                _ => None,
            };
            let measured = async { scenario.measure(scratch, options.seconds) };
            report.rows.push(self.row(&server, bare, scenario.name, Kind::Hello, goal, measured).await?);
        }
        self.chained(options, &server, bare, report).await?;
        let (name, value) = (format!("{}: resident memory after the run", self.name), server.resident()?);
        report.singles.push(Single { name, value, unit: "MiB", limit: Some(60.0) });
        Ok(())
    }

    /// What depends on the answer before it.
    async fn chained(
        &self,
        options: &Options,
        server: &Server,
        bare: &Bare<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let (demo, time) = (&server.demo, Duration::from_secs(options.seconds));
        let asked = |name: &'static str| Some(name).filter(|name| name.contains(&options.only));
        if let Some(name) = asked("refresh with rotation") {
            let rotating = drive::refresh(demo, "public", time);
            report.rows.push(self.row(server, bare, name, self.updates, Some(0.35), rotating).await?);
        }
        if let Some(name) = asked("refresh without rotation") {
            let steady = drive::refresh(demo, "confidential", time);
            report.rows.push(self.row(server, bare, name, Kind::Sign, None, steady).await?);
        }
        if let Some(name) = asked("GetTokenFromCode") {
            let exchanged = drive::exchange(drive::codes(demo, 4000).await?);
            report.rows.push(self.row(server, bare, name, self.updates, None, exchanged).await?);
        }
        if let Some(name) = asked("login round") {
            let rounds = drive::login(demo, time);
            report.rows.push(self.row(server, bare, name, Kind::Hash, Some(0.85), rounds).await?);
        }
        Ok(())
    }

    async fn row(
        &self,
        server: &Server,
        bare: &Bare<'_>,
        scenario: &str,
        kind: Kind,
        goal: Option<f64>,
        measured: impl Future<Output = Result<Figure>>,
    ) -> Result<Row> {
        let with_cpu = async {
            let before = server.cpu()?;
            let figure = measured.await?;
            Ok((figure, server.cpu()?.saturating_sub(before)))
        };
        let ((figure, cpu), against) = bare.around(kind, with_cpu).await?;
        Ok(Row {
            engine: self.name.to_owned(),
            scenario: scenario.to_owned(),
            cpu_us: Some(cpu.as_secs_f64() * 1e6 / figure.requests),
            bare: Some(kind.name()),
            ratio: Some(figure.per_second / against),
            goal,
            figure,
        })
    }
}
