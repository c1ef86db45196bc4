//! Sets the allocator of a program that links this crate. Must never hold anything else.
//!
//! With the feature `jemalloc`, freed memory goes back to the system within a second: after a burst of
//! long lists the process becomes small again. `.cargo/config.toml` has the settings that are compiled
//! in, and `crates/tieline/tests` the test that holds the promise. Without the feature the program has the
//! allocator of the C library, which keeps what it once had, and builds a minute sooner.
//!
//! This is a crate of its own because tests then get the feature with their dependencies: the plain
//! `cargo test` tests the program as it is shipped.

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
