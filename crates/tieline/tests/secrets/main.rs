//! No key leaves the program: canary keys go everywhere, and everything that was logged, printed,
//! answered or kept is searched for them.
//!
//! These tests stand apart from `program`, since one of them starts three dozen vendors: beside other
//! tests in one process they would need more than the 256 MiB that a test program may use (`.ci/run`).

#[path = "../common/mod.rs"]
mod common;

mod control;
mod echo;
mod paths;
mod start;
mod voiso;
mod vonage;
mod vonage_world;
