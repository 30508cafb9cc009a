//! The server under test: the release binary, started as `dev` on a store of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::http::Http;

/// What `dev` writes into `dev.json`.
#[derive(Clone, Deserialize)]
pub struct Demo {
    pub base_url: String,
    pub project: String,
    pub clients: Vec<DemoClient>,
    pub user: DemoUser,
    pub admin_key: String,
    pub database_url: String,
}

#[derive(Clone, Deserialize)]
pub struct DemoClient {
    pub client_id: String,
    pub client_secret: Option<String>,
    pub redirect_uri: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, Deserialize)]
pub struct DemoUser {
    pub username: String,
    pub password: String,
}

impl Demo {
    pub fn read(data: &Path) -> Result<Self> {
        let text = std::fs::read(data.join("dev.json")).context("there is no dev.json")?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The same project with another user, who is made if this is the first time.
    pub async fn with_another_user(&self, number: usize) -> Result<Self> {
        let user = DemoUser { username: format!("bench-{number}"), password: self.user.password.clone() };
        let body = serde_json::json!({"username": user.username, "password": user.password}).to_string();
        let headers =
            format!("Content-Type: application/json\r\nAuthorization: Bearer {}\r\n", self.admin_key);
        let path = format!("/admin/projects/{}/users", self.project);
        let answer = Http::connect(&self.address()).await?.post(&path, &headers, &body).await?;
        anyhow::ensure!(matches!(answer.status, 201 | 409), "a user: {}", answer.text());
        Ok(Self { user, ..self.clone() })
    }

    pub fn address(&self) -> String {
        self.base_url.trim_start_matches("http://").replace("localhost", "127.0.0.1")
    }

    pub fn client(&self, kind: &str) -> Result<&DemoClient> {
        self.clients.iter().find(|client| client.kind == kind).with_context(|| format!("no {kind} client"))
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub demo: Demo,
    /// From the start of the process to its first answer.
    pub first_answer: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub async fn start(data: &Path, database_url: Option<&str>) -> Result<Self> {
        let port = match Demo::read(data) {
            Ok(demo) => demo.address().rsplit(':').next().unwrap_or("0").to_owned(),
            Err(_) => TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string(),
        };
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(binary()?);
        command
            .args(["dev", "--listen", &address, "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(url) = database_url {
            command.args(["--database-url", url]);
        }
        let begun = Instant::now();
        let child = command.spawn().context("the server does not start")?;
        let mut server =
            Self { child, demo: Demo::read(data).or_else(|_| empty())?, first_answer: Duration::ZERO };
        server.first_answer = first_answer(&address, begun).await?;
        server.demo = Demo::read(data)?;
        Ok(server)
    }

    /// CPU time that the process has used.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = stat.rsplit_once(')').context("an unexpected /proc/stat")?.1;
        let ticks: Vec<u64> =
            after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        // 100 ticks a second on every Linux that we meet.
        Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

fn empty() -> Result<Demo> {
    Ok(serde_json::from_value(serde_json::json!({"base_url": "", "project": "", "clients": [],
        "database_url": "", "admin_key": "", "user": {"username": "", "password": ""}}))?)
}

async fn first_answer(address: &str, begun: Instant) -> Result<Duration> {
    while begun.elapsed() < Duration::from_secs(30) {
        if let Ok(mut http) = Http::connect(address).await
            && http.get("/health", "").await.is_ok_and(|answer| answer.status == 200)
        {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("the server does not answer")
}

/// The release binary beside this one.
fn binary() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let release = this.ancestors().nth(2).context("no target directory")?;
    Ok(release.join("tessera"))
}
