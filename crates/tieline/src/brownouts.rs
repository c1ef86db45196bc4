//! What the checks say of `[[brownout]]`: how many windows there are, and which come next.

use std::fmt;

use serde_json::{Value, json};
use settings::{Brownout, Config};

use crate::utc;

/// Of windows that begin at the same time, the most that are named.
const NAMED_MAX: usize = 5;

/// See the module.
#[derive(Debug)]
pub(crate) struct Windows {
    all: usize,
    on: usize,
    /// Those that begin next, all at the same time.
    next: Vec<Brownout>,
}

impl Windows {
    /// Those of a configuration, at a time in seconds since 1970; `None` where it has none.
    pub(crate) fn of(config: &Config, now: u64) -> Option<Self> {
        let all = &config.brownouts;
        let coming = || all.iter().filter(|window| window.start > now);
        let start = coming().map(|window| window.start).min();
        let next = coming().filter(|window| Some(window.start) == start).cloned().collect();
        let on = all.iter().filter(|window| window.start <= now && now < window.end).count();
        (!all.is_empty()).then_some(Windows { all: all.len(), on, next })
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let next = self.next.iter().map(|window| {
            json!({
                "endpoint": window.endpoint,
                "caller": window.caller,
                "start": utc::shown(window.start),
                "end": utc::shown(window.end),
            })
        });
        json!({"windows": self.all, "on": self.on, "next": next.collect::<Vec<_>>()})
    }
}

impl fmt::Display for Windows {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "brownouts: {}, on now: {}", self.all, self.on)?;
        let Some(first) = self.next.first() else { return write!(f, "; none comes") };
        write!(f, "; next at {}: ", utc::shown(first.start))?;
        for (place, window) in self.next.iter().take(NAMED_MAX).enumerate() {
            let endpoint = window.endpoint.unwrap_or("every translated endpoint");
            let caller = window.caller.as_deref().unwrap_or("every caller");
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{endpoint} for {caller} until {}", utc::shown(window.end))?;
        }
        match self.next.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[upstream.a]\ndialect = \"voiso-v4\"\nbase_url = \"http://127.0.0.1:9\"\n\
                        [[caller]]\nname = \"crm\"\nlegacy_key = { env = \"LEGACY\" }\nupstream = \"a\"\n\
                        upstream_key = { env = \"V4\" }\nsees = \"everything\"\n";

    fn told(windows: &str, now: u64) -> Option<String> {
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-a-key")));
        let config = Config::parse(&format!("{BASE}{windows}"), "t.toml", &env).unwrap();
        Windows::of(&config, now).map(|windows| windows.to_string())
    }

    #[test]
    fn the_next_windows_are_told_with_their_endpoints_and_callers() {
        let window = |who: &str, from: u32, to: u32| {
            format!(
                "[[brownout]]\n{who}\nstart = 2026-12-{from:02}T09:00:00Z\nend = 2026-12-{to:02}T10:00:00Z\n"
            )
        };
        let all = [
            window("endpoint = \"v1_users\"\ncaller = \"crm\"", 10, 10),
            window("endpoint = \"v1_users\"", 3, 4),
            window("", 10, 11),
        ]
        .concat();
        const THIRD: u64 = 1_796_288_400;
        const DAY: u64 = 86_400;
        assert_eq!(told("", THIRD), None);
        let first =
            "next at 2026-12-03T09:00:00Z: v1_users for every caller until 2026-12-04T10:00:00Z";
        assert_eq!(told(&all, THIRD - 1).unwrap(), format!("brownouts: 3, on now: 0; {first}"));
        let both = "next at 2026-12-10T09:00:00Z: v1_users for crm until 2026-12-10T10:00:00Z, \
                    every translated endpoint for every caller until 2026-12-11T10:00:00Z";
        assert_eq!(told(&all, THIRD).unwrap(), format!("brownouts: 3, on now: 1; {both}"));
        let on = "brownouts: 3, on now: 2; none comes";
        assert_eq!(told(&all, THIRD + 7 * DAY).unwrap(), on);
        assert_eq!(told(&all, THIRD + 99 * DAY).unwrap(), "brownouts: 3, on now: 0; none comes");
    }
}
