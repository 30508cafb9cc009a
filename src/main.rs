//! Parses, builds, runs, and maps an error to an exit code.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match tessera::cli::run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", tessera::cli::explain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
