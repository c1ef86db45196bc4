//! Which configurations came since the start, and why some were refused. Must never hold a value of one:
//! a refusal names file, line and field.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A time in seconds since 1970, to a thousandth.
pub(crate) fn seconds(at: SystemTime) -> f64 {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    millis as f64 / 1e3
}

/// A time in microseconds since 1970. No process answers so many requests, and a JSON number holds it.
pub(crate) fn micros(at: SystemTime) -> u64 {
    let micros = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX / 2)
}

/// How many are kept.
const EPOCHS_MAX: usize = 20;

/// A configuration that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    at: SystemTime,
    /// Its number, or why it was refused.
    pub(crate) epoch: Result<u64, String>,
}

impl Came {
    /// When it came, in seconds since 1970.
    pub(crate) fn at(&self) -> f64 {
        seconds(self.at)
    }
}

/// See the module; the newest is the last.
#[derive(Debug)]
pub(crate) struct Epochs {
    pub(crate) started: SystemTime,
    came: Mutex<VecDeque<Came>>,
}

impl Default for Epochs {
    /// The first is in force.
    fn default() -> Self {
        let at = SystemTime::now();
        Epochs { started: at, came: Mutex::new(VecDeque::from([Came { at, epoch: Ok(1) }])) }
    }
}

impl Epochs {
    /// Another one came.
    pub(crate) fn note(&self, epoch: Result<u64, String>) {
        // Plain data, valid after any panic.
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        if came.len() == EPOCHS_MAX {
            // The last good one is in force, however many were refused since.
            let in_force = came.iter().rposition(|one| one.epoch.is_ok());
            came.remove(usize::from(in_force == Some(0) && epoch.is_err()));
        }
        came.push_back(Came { at: SystemTime::now(), epoch });
    }

    /// All that are kept, the newest first.
    pub(crate) fn all(&self) -> Vec<Came> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.iter().rev().cloned().collect()
    }

    /// Why the last one was refused, if it was.
    pub(crate) fn refused(&self) -> Option<(f64, String)> {
        let last = self.all().into_iter().next()?;
        let at = last.at();
        last.epoch.err().map(|why| (at, why))
    }

    /// All that are kept, for programs.
    pub(crate) fn json(&self) -> Vec<Value> {
        let row = |came: Came| match &came.epoch {
            Ok(epoch) => json!({"at": came.at(), "epoch": epoch}),
            Err(why) => json!({"at": came.at(), "refused": why}),
        };
        self.all().into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_stands_until_a_configuration_is_taken() {
        let epochs = Epochs::default();
        assert_eq!(epochs.refused(), None);
        epochs.note(Err("t.toml:3: x".to_owned()));
        assert_eq!(epochs.refused().unwrap().1, "t.toml:3: x");
        epochs.note(Ok(2));
        assert_eq!(epochs.refused(), None);
        for epoch in 3..60 {
            epochs.note(Ok(epoch));
        }
        let all = epochs.json();
        assert_eq!((all.len(), &all[0]["epoch"]), (EPOCHS_MAX, &json!(59)));
    }

    #[test]
    fn the_one_in_force_stays_however_many_are_refused() {
        let epochs = Epochs::default();
        epochs.note(Ok(2));
        for number in 0..3 * EPOCHS_MAX {
            epochs.note(Err(number.to_string()));
        }
        let told = epochs.json();
        assert_eq!((told.len(), &told[EPOCHS_MAX - 1]["epoch"]), (EPOCHS_MAX, &json!(2)));
        assert_eq!((&told[0]["refused"], &told[18]["refused"]), (&json!("59"), &json!("41")));
        epochs.note(Ok(3));
        let told = epochs.json();
        assert_eq!((told.len(), &told[0]["epoch"]), (EPOCHS_MAX, &json!(3)));
        assert!(told[1..].iter().all(|one| one["refused"].is_string()), "{told:?}");
    }
}
