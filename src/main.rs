//! Parses, builds, runs, and maps an error to an exit code.

/// The system's allocator keeps what a burst of password hashes took; this one is quicker as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
