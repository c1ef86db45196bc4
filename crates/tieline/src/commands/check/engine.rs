//! What `tieline check` finds at the engine that replicas share, and how it is printed. Must never print an address,
//! a user or a password.

use std::fmt;

use commons::{Examined, Setup};
use serde_json::{Value, json};

/// The servers of `[commons]`: those of the pace, and those of values where they are others.
#[derive(Debug)]
pub(super) struct Engine(Vec<Examined>);

impl Engine {
    /// Looks at them.
    ///
    /// # Errors
    ///
    /// If the setup cannot be meant.
    pub(super) async fn of(setup: &Setup) -> std::io::Result<Self> {
        commons::examine(setup).await.map(Engine).map_err(std::io::Error::other)
    }

    pub(super) fn is_good(&self) -> bool {
        self.0.iter().all(Examined::is_good)
    }

    /// A list of what was looked at, for programs.
    pub(super) fn json(&self) -> Value {
        let looked_at = self.0.iter().map(|found| {
            json!({
                "ok": found.is_good(),
                "for_values": found.are_for_values,
                "engine": found.engine,
                "version": found.version,
                "mode": found.mode,
                "role": found.role,
                "pace_seconds": found.pace_takes.map(|takes| takes.as_secs_f64()),
                "eviction": found.eviction,
                "has_no_memory_limit": found.has_no_memory_limit,
                "missing_rights": found.missing_rights,
                "failures": found.wrong,
            })
        });
        looked_at.collect()
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.0 {
            writeln!(f, "commons{}", if found.are_for_values { " (values)" } else { "" })?;
            if let (Some(engine), Some(version)) = (found.engine, &found.version) {
                let mode = found.mode.as_deref().unwrap_or("unknown mode");
                let role = found.role.as_deref().unwrap_or("unknown role");
                writeln!(f, "  engine        {engine} {version}, {mode}, {role}")?;
            }
            if let Some(takes) = found.pace_takes {
                let takes = takes.as_secs_f64() * 1000.0;
                writeln!(f, "  pace          {takes:.2} ms for half of the calls")?;
            }
            if let Some(eviction) = &found.eviction {
                let limit =
                    if found.has_no_memory_limit { ", but maxmemory is not set" } else { "" };
                writeln!(f, "  eviction      {eviction}{limit}")?;
            }
            if !found.missing_rights.is_empty() {
                let rights: Vec<String> = found
                    .missing_rights
                    .iter()
                    .map(|right| format!("+{}", right.to_ascii_lowercase()))
                    .collect();
                writeln!(f, "  FAILED        the user lacks rights: {}", rights.join(" "))?;
            }
            for wrong in &found.wrong {
                writeln!(f, "  FAILED        {wrong}")?;
            }
        }
        Ok(())
    }
}
