//! The program as a process: its commands, its signals, its log, its memory.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod churn;
mod collector;
mod completions;
mod config;
mod demo;
mod healthcheck;
mod help;
mod key;
mod lifetime;
mod losses;
mod memory;
mod otlp;
mod passthrough;
mod reload;
mod reload_again;
mod roster;
mod serve;
mod shadow;
mod simulate;
mod sockets;
mod supervisor;
mod tls;
mod validation {
    mod alone;
    mod calibrate;
    mod masks;
    mod people;
    mod record;
    mod sides;
    mod validate;
}
