//! The async runtime of the commands that listen or ask.

use std::process::ExitCode;

use crate::failure::Failure;

/// Runs a command to its end on as many threads as there are cores; the environment variable
/// `TOKIO_WORKER_THREADS` sets another number.
pub(crate) fn run(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start the threads: {error}")))?;
    let done = runtime.block_on(command);
    // Whatever still runs has had its drain; waiting for it could take for ever.
    runtime.shutdown_background();
    done
}
