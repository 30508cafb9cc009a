//! Bare figures, taken right before and right after what is compared with them: the speed of a machine wanders.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bare;
use crate::report::Single;
use crate::wrk::{Repeated, measure};

/// What the machine can do without the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A handler that answers "hello".
    Hello,
    /// A handler that signs one ES256 token.
    Sign,
    /// Durable conditional updates, by engine.
    Sqlite,
    Postgres,
    /// Password hashes on all cores.
    Hash,
}

const KINDS: [Kind; 5] = [Kind::Hello, Kind::Sign, Kind::Sqlite, Kind::Postgres, Kind::Hash];

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Sign => "sign",
            Self::Sqlite | Self::Postgres => "update",
            Self::Hash => "hash",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Hello => "bare hello",
            Self::Sign => "bare ES256 signatures",
            Self::Sqlite => "bare conditional updates, sqlite",
            Self::Postgres => "bare conditional updates, postgres",
            Self::Hash => "bare password hashes",
        }
    }
}

pub struct Bare<'a> {
    server: BareServer,
    scratch: &'a Path,
    postgres: Option<&'a str>,
    /// Each time.
    seconds: u64,
    taken: Mutex<Vec<(Kind, f64)>>,
}

impl<'a> Bare<'a> {
    pub fn new(scratch: &'a Path, postgres: Option<&'a str>, seconds: u64) -> Result<Self> {
        let seconds = (seconds / 2).max(1);
        Ok(Self { server: BareServer::start()?, scratch, postgres, seconds, taken: Mutex::default() })
    }

    /// The scenario, and the mean of the bare figures around it.
    pub async fn around<T>(&self, kind: Kind, scenario: impl Future<Output = Result<T>>) -> Result<(T, f64)> {
        let before = self.take(kind).await?;
        let done = scenario.await?;
        Ok((done, f64::midpoint(before, self.take(kind).await?)))
    }

    async fn take(&self, kind: Kind) -> Result<f64> {
        let time = Duration::from_secs(self.seconds);
        let figure = match kind {
            Kind::Hello => self.http("/hello", "hello")?,
            Kind::Sign => self.http("/sign", "e")?,
            Kind::Sqlite => bare::sqlite_updates(&self.scratch.join("bare.db"), time).await?,
            Kind::Postgres => {
                bare::postgres_updates(self.postgres.context("no PostgreSQL")?, 16, time).await?
            }
            Kind::Hash => tokio::task::spawn_blocking(move || bare::hashes(time)).await??,
        };
        self.taken.lock().ok().context("a bare figure panicked")?.push((kind, figure));
        Ok(figure)
    }

    fn http(&self, path: &str, expect: &str) -> Result<f64> {
        let url = format!("http://{}{path}", self.server.address);
        let request = Repeated { url: &url, headers: Vec::new(), bodies: &[], expect };
        Ok(measure(self.scratch, &request, self.seconds)?.per_second)
    }

    /// Of each kind the slowest and the fastest that was seen, which is how far the machine wandered.
    pub fn singles(&self) -> Vec<Single> {
        let taken = self.taken.lock().map(|taken| taken.clone()).unwrap_or_default();
        let mut singles = Vec::new();
        for kind in KINDS {
            let figures = || taken.iter().filter(|(known, _)| *known == kind).map(|(_, figure)| *figure);
            if figures().next().is_none() {
                continue;
            }
            for (word, value) in
                [("slowest", figures().fold(f64::MAX, f64::min)), ("fastest", figures().fold(0.0, f64::max))]
            {
                let name = format!("{}: {word}", kind.words());
                singles.push(Single { name, value, unit: "/s", limit: None });
            }
        }
        singles
    }
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
}

impl Drop for BareServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
