//! The command line: parses, and runs one command. Each has a file of its own.

mod admin;
mod admin_key;
mod audit;
mod client;
mod common;
mod delete_users;
mod deletion;
mod dev;
mod health;
mod key;
mod migrate;
mod open;
mod password;
mod project;
mod restored;
mod serve;
mod server;
mod user;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Sources;
use crate::entropy::Entropy;
use crate::error::{Code, Error};
use crate::http::openapi;

/// Tessera: a multi-tenant identity service.
///
/// `tessera dev` is a working server with nothing to set up. `tessera serve` is a node for production.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "\
Settings come from built-in defaults, a file (--config), the environment (TESSERA__LISTEN, TESSERA__DATABASE__POOLER, …,
and DATABASE_URL) and flags, the later the stronger. docs/configuration.md explains each of them."
)]
struct Cli {
    /// A TOML file with settings.
    #[arg(long, global = true, env = "TESSERA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A working server with a demo project, two clients and a user; needs nothing.
    Dev(dev::Dev),
    /// A node of the service.
    Serve(serve::Serve),
    /// Brings the store's schema up to date.
    Migrate(migrate::Migrate),
    /// Projects, which are tenants.
    Project {
        #[command(subcommand)]
        command: project::Project,
    },
    /// Clients, which are applications.
    Client {
        #[command(subcommand)]
        command: client::Command,
    },
    /// Users, who are people.
    User {
        #[command(subcommand)]
        command: user::User,
    },
    /// Admins who are people: they sign in at the built-in project, and have roles.
    Admin {
        #[command(subcommand)]
        command: admin::Command,
    },
    /// Deletes many users at once, after a confirmation.
    DeleteUsers(Box<delete_users::DeleteUsers>),
    /// Keys for the admin API.
    AdminKey {
        #[command(subcommand)]
        command: admin_key::Command,
    },
    /// The audit log.
    Audit {
        #[command(subcommand)]
        command: audit::Audit,
    },
    /// Deletions of users.
    Deletion {
        #[command(subcommand)]
        command: deletion::Deletion,
    },
    /// Signing keys, and what the master key seals.
    Key {
        #[command(subcommand)]
        command: key::Key,
    },
    /// After restoring a backup: ends every session, and erases again who had been erased.
    Restored(restored::Restored),
    /// Prints the OpenAPI 3.1 document of the API.
    Openapi,
    /// Asks a running server whether it is well.
    Health(health::Health),
}

/// Parses and runs the command of this process.
pub async fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Dev(_) | Command::Serve(_)) {
        Entropy::warm_up();
    }
    let sources = Sources::of_process(cli.config);
    match &cli.command {
        Command::Dev(command) => dev::run(command, sources).await,
        Command::Serve(command) => serve::run(command, &sources).await,
        Command::Migrate(command) => migrate::run(command, &sources).await,
        Command::Project { command } => project::run(command, sources).await,
        Command::Client { command } => client::run(command, sources).await,
        Command::User { command } => user::run(command, sources).await,
        Command::Admin { command } => admin::run(command, sources).await,
        Command::DeleteUsers(command) => delete_users::run(command, sources).await,
        Command::AdminKey { command } => admin_key::run(command, sources).await,
        Command::Audit { command } => audit::run(command, sources).await,
        Command::Deletion { command } => deletion::run(command),
        Command::Key { command } => key::run(command, sources).await,
        Command::Restored(command) => restored::run(command, &sources).await,
        Command::Openapi => {
            print!("{}", openapi::text());
            Ok(())
        }
        Command::Health(command) => health::run(command, &sources).await,
    }
}

/// What to tell the person at the terminal: the cause where a caller over the network gets less.
pub fn explain(error: &anyhow::Error) -> String {
    let parts = error.chain().map(|part| match part.downcast_ref::<Error>() {
        Some(error) if matches!(error.code(), Code::ServerError | Code::TemporarilyUnavailable) => {
            error.cause().map_or_else(|| error.description().to_owned(), |cause| format!("{cause:#}"))
        }
        Some(error) => error.description().to_owned(),
        None => part.to_string(),
    });
    parts.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
