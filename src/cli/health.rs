//! `health`: for the health check of a container.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{Config, MasterKey, Sources};

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Args)]
#[command(after_help = "\
Example:
  HEALTHCHECK CMD [\"tessera\", \"health\"]

Exit code 0 when the server answers and its store answers it; 1 otherwise.")]
pub struct Health {
    /// Where the server listens; without it, the setting `listen` on this machine.
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
}

pub async fn run(health: &Health, sources: &Sources) -> anyhow::Result<()> {
    let address = match health.address {
        Some(address) => address,
        None => reachable(Config::load(sources, MasterKey::Optional)?.listen),
    };
    let status = tokio::time::timeout(LIMIT, ask(address)).await.context("the server does not answer")?;
    let status = status.with_context(|| format!("no server answers at {address}"))?;
    anyhow::ensure!(status == "200", "the server is not well: it answers {status}");
    Ok(())
}

/// The status of `GET /health`.
async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let line = String::from_utf8_lossy(&answer);
    Ok(line.split_whitespace().nth(1).unwrap_or("nothing").to_owned())
}

/// A server that listens everywhere is asked on the loopback address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
