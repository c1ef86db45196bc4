//! The async runtime of the commands that listen or ask.

use std::process::ExitCode;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;

/// Sets the number of threads.
const THREADS: &str = "TOKIO_WORKER_THREADS";

/// Runs a command to its end on as many threads as there are cores; [`THREADS`] sets another number.
pub(crate) fn run(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let set = std::env::var_os(THREADS).map(|set| set.to_string_lossy().into_owned());
    let runtime = runtime(set.as_deref())?;
    let done = runtime.block_on(command);
    // Whatever still runs has had its drain; waiting for it could take for ever.
    runtime.shutdown_background();
    done
}

/// The runtime for this number of threads. With one thread it shares no tasks, so a small request costs less.
fn runtime(set: Option<&str>) -> Result<Runtime, Failure> {
    let cores = || available_parallelism().map_or(1, usize::from);
    let threads = match set.map(str::parse) {
        None => cores(),
        Some(Ok(threads)) if threads > 0 => threads,
        Some(_) => {
            return Err(Failure::new(format_args!(
                "{THREADS} must be a number of threads, from 1"
            )));
        }
    };
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let built = builder.enable_all().build();
    built.map_err(|error| Failure::new(format_args!("cannot start the threads: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::runtime::RuntimeFlavor;

    use super::*;

    #[test]
    fn one_thread_uses_the_single_threaded_runtime() {
        for (set, flavor) in
            [("1", RuntimeFlavor::CurrentThread), ("3", RuntimeFlavor::MultiThread)]
        {
            assert_eq!(runtime(Some(set)).unwrap().handle().runtime_flavor(), flavor, "{set}");
        }
        assert!(runtime(None).is_ok());
    }

    #[test]
    fn a_bad_number_of_threads_is_an_error() {
        for bad in ["", "0", "-1", "many"] {
            let told = runtime(Some(bad)).unwrap_err().text().to_owned();
            assert_eq!(told, "TOKIO_WORKER_THREADS must be a number of threads, from 1", "{bad}");
        }
    }
}
