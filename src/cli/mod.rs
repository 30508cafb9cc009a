//! The command line.

mod dev;
mod serve;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// Tessera: a multi-tenant identity service.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A working server with a demo project, two clients and a user; needs nothing.
    Dev(dev::Dev),
    /// The server. Settings come from the environment: see docs/configuration.md.
    Serve,
    /// Brings the store's schema up to date and ends.
    Migrate,
    /// Recomputes the audit chain of a project; exits 1 and names the first broken entry when it is not whole.
    AuditVerify { project: String },
    /// Asks a running server whether it is well; for container health checks.
    Health {
        #[arg(long, default_value = "127.0.0.1:8080")]
        address: SocketAddr,
    },
}

/// Parses, runs, and maps an error to an exit code.
pub async fn run() -> Result<(), anyhow::Error> {
    match Cli::parse().command {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Serve => serve::run().await,
        Command::Migrate => serve::migrate().await,
        Command::AuditVerify { project } => serve::audit_verify(&project).await,
        Command::Health { address } => serve::health(address).await,
    }
}
