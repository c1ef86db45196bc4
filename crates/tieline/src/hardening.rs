//! Keeps what the process has in memory to itself: keys are in it.

use crate::failure::Failure;

/// From here on no core is dumped, and no other process of this user may read this one's memory or
/// environment.
#[cfg(target_os = "linux")]
pub(crate) fn keep_memory_private() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // A sandbox may forbid to change limits. What is not dumpable dumps no core in any case.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        Failure::new(format_args!("cannot keep the memory of the process private: {error}"))
    })
}

/// Nothing, where it is not known how.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_memory_private() -> Result<(), Failure> {
    Ok(())
}
