//! The same figures on a small and on a large store: nothing may be worse than 1.3 times.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::repeated::{Scenario, scenarios};
use crate::report::Figure;
use crate::run::{Options, database};
use crate::server::Server;
use crate::{drive, seed};

/// What a figure may lose.
const MOST: f64 = 1.3;

/// Each figure is taken so often on either store, by turns: the speed of a machine wanders.
const ROUNDS: u32 = 3;

/// # Errors
/// A figure that is worse than it may be, after all were shown.
pub async fn growth(options: Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut worse = Vec::new();
    let engines = [("sqlite", None), ("postgres", options.postgres.as_deref())];
    for (engine, postgres) in engines.into_iter().filter(|(engine, url)| *engine == "sqlite" || url.is_some())
    {
        let stores = Stores::seed(&options, scratch.path(), engine, postgres).await?;
        for (name, small, large) in stores.compare(&options, scratch.path()).await? {
            let times = small / large;
            let mark = if times > MOST { "  WORSE" } else { "" };
            println!(
                "{engine:<10} {name:<28} small {small:>10.1}/s large {large:>10.1}/s  {times:.2} times{mark}"
            );
            if times > MOST {
                worse.push(format!("{engine} {name}"));
            }
        }
    }
    ensure!(worse.is_empty(), "worse than {MOST} times: {}", worse.join(", "));
    Ok(())
}

/// Two servers, each over a store of its own.
struct Stores {
    small: Server,
    large: Server,
}

impl Stores {
    async fn seed(options: &Options, scratch: &Path, engine: &str, postgres: Option<&str>) -> Result<Self> {
        let server = async |size: &str, projects, families| {
            let data = scratch.join(format!("{engine}-{size}"));
            let url = match postgres {
                Some(url) => Some(database(url, &format!("tessera_growth_{size}")).await?),
                None => None,
            };
            drop(Server::start(&data, url.as_deref()).await?);
            seed::seed(&data, projects, families).await?;
            Server::start(&data, url.as_deref()).await
        };
        let small = server("small", 1, 1000).await?;
        Ok(Self { small, large: server("large", options.projects, options.families).await? })
    }

    /// The name of each scenario, and the sum of its figures on either store.
    async fn compare(&self, options: &Options, scratch: &Path) -> Result<Vec<(&'static str, f64, f64)>> {
        let mut compared = Vec::new();
        let (small, large) = (scenarios(&self.small).await?, scenarios(&self.large).await?);
        for (small, large) in small.iter().zip(&large) {
            let figure = async |scenario: &Scenario| scenario.measure(scratch, options.seconds);
            let sums = by_turns(async || figure(small).await, async || figure(large).await).await?;
            compared.push((small.name, sums.0, sums.1));
        }
        let time = Duration::from_secs(options.seconds);
        let (small, large) = (&self.small.demo, &self.large.demo);
        let refresh = by_turns(
            async || drive::refresh(small, "public", time).await,
            async || drive::refresh(large, "public", time).await,
        );
        compared.push(named("refresh with rotation", refresh.await?));
        let exchange = by_turns(
            async || drive::exchange(drive::codes(small, 2000).await?).await,
            async || drive::exchange(drive::codes(large, 2000).await?).await,
        );
        compared.push(named("GetTokenFromCode", exchange.await?));
        let login =
            by_turns(async || drive::login(small, time).await, async || drive::login(large, time).await);
        compared.push(named("login round", login.await?));
        Ok(compared)
    }
}

fn named(name: &'static str, (small, large): (f64, f64)) -> (&'static str, f64, f64) {
    (name, small, large)
}

async fn by_turns(
    small: impl AsyncFn() -> Result<Figure>,
    large: impl AsyncFn() -> Result<Figure>,
) -> Result<(f64, f64)> {
    let mut sums = (0.0, 0.0);
    for _ in 0..ROUNDS {
        sums.0 += answered(&small().await?)?;
        sums.1 += answered(&large().await?)?;
    }
    Ok((sums.0 / f64::from(ROUNDS), sums.1 / f64::from(ROUNDS)))
}

/// Requests per second, all of them answered.
fn answered(figure: &Figure) -> Result<f64> {
    ensure!(figure.errors == 0.0, "{} requests failed", figure.errors);
    Ok(figure.per_second)
}
