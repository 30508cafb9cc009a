//! Measures the server as its users meet it, beside bare figures of the same run on the same machine.
//!
//! `scripts/bench` builds for release, starts a throw-away PostgreSQL and calls this. Everything is a ratio to a bare
//! figure, so that runs on different machines can be compared.

mod bare;
mod beside;
mod drive;
mod growth;
mod http;
mod repeated;
mod report;
mod run;
mod seed;
mod server;
mod wrk;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole run.
    Run(run::Options),
    /// The same figures on a small and on a large store.
    Growth(run::Options),
    /// A bare server: `/hello`, and `/sign`, which signs one ES256 token.
    Bare,
    /// Fills the store of a `dev` server with projects and token families.
    Seed {
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        projects: usize,
        #[arg(long)]
        families: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo bench` adds a flag of its own.
    let arguments = std::env::args().filter(|argument| argument != "--bench");
    match Arguments::parse_from(arguments).command {
        Command::Run(options) => run::run(options).await,
        Command::Growth(options) => growth::growth(options).await,
        Command::Bare => bare::serve().await,
        Command::Seed { data, projects, families } => seed::seed(&data, projects, families).await,
    }
}
