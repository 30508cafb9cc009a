//! The run: bare figures first, then the server on each engine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::drive::{Actor, basic};
use crate::report::{Figure, Report, Row, Single};
use crate::server::Server;
use crate::wrk::{Repeated, measure};
use crate::{bare, drive, seed};

#[derive(Args)]
pub struct Options {
    /// A PostgreSQL whose databases may be made and dropped; without it only SQLite is measured.
    #[arg(long)]
    postgres: Option<String>,
    /// Seconds for each scenario.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// For machines.
    #[arg(long)]
    json: bool,
    /// Projects of the large store (growth).
    #[arg(long, default_value_t = 20_000)]
    projects: usize,
    /// Token families of the large store (growth).
    #[arg(long, default_value_t = 300_000)]
    families: usize,
}

struct Bare {
    hello: f64,
    sign: f64,
    sqlite: f64,
    postgres: f64,
    hashes: f64,
}

/// # Errors
/// A scenario that cannot be measured; a goal that is missed, after the report.
pub async fn run(options: Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut report = Report::default();
    let bare = bare_figures(&options, scratch.path(), &mut report).await?;
    let data = scratch.path().join("sqlite");
    engine(&options, "sqlite", &data, None, &bare, &mut report).await?;
    if let Some(postgres) = &options.postgres {
        let data = scratch.path().join("postgres");
        let url = database(postgres, "tessera_bench").await?;
        engine(&options, "postgres", &data, Some(&url), &bare, &mut report).await?;
    }
    report.print(options.json)?;
    let missed = report.rows.iter().any(Row::fails) || report.singles.iter().any(Single::fails);
    ensure!(!missed, "a goal is missed");
    Ok(())
}

/// An empty database of this name.
async fn database(postgres: &str, name: &str) -> Result<String> {
    let pool = sqlx::PgPool::connect(postgres).await?;
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await?;
    }
    let mut url = url::Url::parse(postgres)?;
    url.set_path(name);
    Ok(url.into())
}

async fn bare_figures(options: &Options, scratch: &Path, report: &mut Report) -> Result<Bare> {
    let time = Duration::from_secs(options.seconds);
    let mut server = BareServer::start()?;
    let http = |path: &str, expect: &str| -> Result<Figure> {
        let url = format!("http://{}{path}", server.address);
        measure(scratch, &Repeated { url: &url, headers: Vec::new(), body: None, expect }, options.seconds)
    };
    let (hello, sign) = (http("/hello", "hello")?, http("/sign", "eyJ".get(..1).unwrap_or_default())?);
    server.stop();
    for (scenario, figure) in [("hello", &hello), ("sign one ES256 token", &sign)] {
        report.rows.push(plain("bare", scenario, figure.clone()));
    }
    let sqlite = bare::sqlite_updates(&scratch.join("bare.db"), time).await?;
    let postgres = match &options.postgres {
        Some(url) => bare::postgres_updates(url, 16, time).await?,
        None => 0.0,
    };
    let hashes = tokio::task::spawn_blocking(move || bare::hashes(time)).await??;
    for (name, value) in [("sqlite", sqlite), ("postgres", postgres)] {
        let name = format!("bare conditional updates, {name}");
        report.singles.push(Single { name, value, unit: "/s", limit: None });
    }
    report.singles.push(Single {
        name: "bare password hashes".into(),
        value: hashes,
        unit: "/s",
        limit: None,
    });
    Ok(Bare { hello: hello.per_second, sign: sign.per_second, sqlite, postgres, hashes })
}

fn plain(engine: &str, scenario: &str, figure: Figure) -> Row {
    let (engine, scenario) = (engine.to_owned(), scenario.to_owned());
    Row { engine, scenario, figure, cpu_us: None, bare: None, ratio: None, goal: None }
}

/// This program again, as the bare server.
struct BareServer {
    child: Child,
    address: String,
}

impl BareServer {
    fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?).arg("bare").stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().context("no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn engine(
    options: &Options,
    engine: &'static str,
    data: &Path,
    database_url: Option<&str>,
    bare: &Bare,
    report: &mut Report,
) -> Result<()> {
    drop(Server::start(data, database_url).await?);
    // The second start finds an existing store.
    let server = Server::start(data, database_url).await?;
    let mut single = |name: &str, value: f64, unit, limit| {
        report.singles.push(Single { name: format!("{engine}: {name}"), value, unit, limit: Some(limit) });
    };
    single("first answer after start", server.first_answer.as_secs_f64() * 1e3, "ms", 100.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    single("resident memory, idle", server.resident()?, "MiB", 25.0);
    let (updates, read_goals) = match engine {
        "sqlite" => (bare.sqlite, (0.25, 0.20)),
        _ => (bare.postgres, (0.15, 0.12)),
    };
    let mut rows = repeated(options, &server, data, engine).await?;
    for row in &mut rows {
        row.bare = Some("hello");
        row.ratio = Some(row.figure.per_second / bare.hello);
        row.goal = match row.scenario.as_str() {
            "verifyaccesstoken" => Some(read_goals.0),
            "userinfofromaccesstoken" => Some(read_goals.1),
            _ => None,
        };
    }
    report.rows.append(&mut rows);
    let time = Duration::from_secs(options.seconds);
    let demo = &server.demo;
    let mut add = |scenario: &str, (figure, cpu): (Figure, Duration), name, against: f64, goal| {
        let mut row = plain(engine, scenario, figure);
        row.cpu_us = Some(cpu.as_secs_f64() * 1e6 / row.figure.requests);
        (row.bare, row.ratio, row.goal) = (Some(name), Some(row.figure.per_second / against), goal);
        report.rows.push(row);
    };
    let rotating = with_cpu(&server, drive::refresh(demo, "public", time)).await?;
    add("refresh with rotation", rotating, "update", updates, Some(0.35));
    let steady = with_cpu(&server, drive::refresh(demo, "confidential", time)).await?;
    add("refresh without rotation", steady, "sign", bare.sign, None);
    let codes = drive::codes(demo, 4000).await?;
    let exchanged = with_cpu(&server, drive::exchange(codes)).await?;
    add("GetTokenFromCode", exchanged, "update", updates, None);
    let rounds = with_cpu(&server, drive::login(demo, time)).await?;
    add("login round", rounds, "hash", bare.hashes, Some(0.85));
    let resident = server.resident()?;
    let name = format!("{engine}: resident memory after the run");
    report.singles.push(Single { name, value: resident, unit: "MiB", limit: Some(60.0) });
    Ok(())
}

async fn with_cpu(
    server: &Server,
    scenario: impl Future<Output = Result<Figure>>,
) -> Result<(Figure, Duration)> {
    let before = server.cpu()?;
    let figure = scenario.await?;
    Ok((figure, server.cpu()?.saturating_sub(before)))
}

/// What wrk can do: the same request again and again.
async fn repeated(options: &Options, server: &Server, scratch: &Path, engine: &str) -> Result<Vec<Row>> {
    let demo = &server.demo;
    let mut actor = Actor::new(demo, "confidential").await?;
    let (_, code) = actor.sign_in().await?;
    let token = actor.exchange(&code).await?.member("access_token")?;
    let issuer = format!("http://{}/projects/{}", demo.address(), demo.project);
    let body = serde_json::json!({"access_token": token}).to_string();
    let json = "Content-Type: application/json".to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    let cases = [
        ("discovery", "/.well-known/openid-configuration", Vec::new(), None, "authorization_endpoint"),
        ("jwks", "/.well-known/jwks.json", Vec::new(), None, "keys"),
        (
            "verifyaccesstoken",
            "/api/verifyaccesstoken",
            vec![json.clone(), basic(demo.client("confidential")?)],
            Some(body.as_str()),
            "\"active\":true",
        ),
        (
            "userinfofromaccesstoken",
            "/api/userinfofromaccesstoken",
            vec![bearer],
            Some(""),
            "preferred_username",
        ),
    ];
    let mut rows = Vec::new();
    for (scenario, path, headers, body, expect) in cases {
        let url = format!("{issuer}{path}");
        let before = server.cpu()?;
        let request = Repeated { url: &url, headers, body, expect };
        let figure = measure(scratch, &request, options.seconds)?;
        let mut row = plain(engine, scenario, figure);
        row.cpu_us = Some(server.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / row.figure.requests);
        rows.push(row);
    }
    Ok(rows)
}

/// The same figures with a small and with a large store: nothing may be worse than 1.3 times.
pub async fn growth(options: Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut worse = Vec::new();
    let engines = [("sqlite", None), ("postgres", options.postgres.clone())];
    for (engine, postgres) in engines.into_iter().filter(|(engine, url)| *engine == "sqlite" || url.is_some())
    {
        let mut figures = Vec::new();
        for (size, projects, families) in [("small", 1, 1000), ("large", options.projects, options.families)]
        {
            let data = scratch.path().join(format!("{engine}-{size}"));
            let url = match &postgres {
                Some(url) => Some(database(url, &format!("tessera_growth_{size}")).await?),
                None => None,
            };
            drop(Server::start(&data, url.as_deref()).await?);
            seed::seed(&data, projects, families).await?;
            let server = Server::start(&data, url.as_deref()).await?;
            let mut rows = repeated(&options, &server, &data, engine).await?;
            let time = Duration::from_secs(options.seconds);
            rows.push(plain(
                engine,
                "refresh with rotation",
                drive::refresh(&server.demo, "public", time).await?,
            ));
            let codes = drive::codes(&server.demo, 4000).await?;
            rows.push(plain(engine, "GetTokenFromCode", drive::exchange(codes).await?));
            rows.push(plain(engine, "login round", drive::login(&server.demo, time).await?));
            figures.push(rows);
        }
        let [small, large] = &figures[..] else { continue };
        for (small, large) in small.iter().zip(large) {
            let times = small.figure.per_second / large.figure.per_second;
            let mark = if times > 1.3 { "  WORSE" } else { "" };
            println!(
                "{engine:<10} {:<28} small {:>10.1}/s large {:>10.1}/s  {times:.2} times{mark}",
                small.scenario, small.figure.per_second, large.figure.per_second
            );
            if times > 1.3 {
                worse.push(format!("{engine} {}", small.scenario));
            }
        }
    }
    ensure!(worse.is_empty(), "worse than 1.3 times: {}", worse.join(", "));
    Ok(())
}
