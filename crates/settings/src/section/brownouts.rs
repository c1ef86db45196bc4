//! `[[brownout]]`: windows of time in which an endpoint answers with an error on purpose, so that forgotten clients
//! show before the endpoint ends.
//!
//! Must never read a clock: windows that are over stay valid, so that a file does not turn bad with time.

use std::fmt;

use domain::legacy::ENDPOINTS;
use domain::text::moment::Moment;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::callers::Caller;
use crate::error::ConfigError;
use crate::near::question;
use crate::reader::{Reader, field_in_list};

/// The most windows: a request of their caller looks at each.
const WINDOWS_MAX: usize = 1000;

/// `[[brownout]]`: one window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brownout {
    /// The name of its endpoint, or `passthrough`. `None` stands for every translated endpoint.
    pub endpoint: Option<&'static str>,
    /// The name of its caller. `None` stands for every caller.
    pub caller: Option<String>,
    /// Its first second, in seconds since 1970.
    pub start: u64,
    /// The first second after it, in seconds since 1970.
    pub end: u64,
}

/// `[[brownout]]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedBrownout {
    endpoint: Option<String>,
    caller: Option<String>,
    start: Edge,
    end: Edge,
}

/// A date and a time with its offset. Without the offset nobody knows which clock is meant.
#[derive(Debug, Clone, Copy)]
struct Edge(u64);

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct EdgeVisitor;
        impl Visitor<'_> for EdgeVisitor {
            type Value = Edge;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date and a time such as 2026-12-03T09:00:00Z")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Edge, E> {
                let must = "must be a date, a time and its offset, such as 2026-12-03T09:00:00Z \
                            or 2026-12-03T10:00:00+01:00";
                let is_date = text.len() <= "2026-12-03".len();
                let moment = Moment::parse(text).filter(|_| !is_date);
                moment.map(|moment| Edge(moment.seconds())).ok_or_else(|| E::custom(must))
            }
        }
        de.deserialize_str(EdgeVisitor)
    }
}

/// The windows in file order; `passes` says whether there is a `[passthrough]`.
pub(crate) fn read(
    typed: &[TypedBrownout],
    callers: &[Caller],
    passes: bool,
    reader: &Reader<'_>,
) -> Result<Vec<Brownout>, ConfigError> {
    let mut windows: Vec<Brownout> = Vec::new();
    for (index, typed) in typed.iter().enumerate() {
        let at = |key: &str| field_in_list(&["brownout"], index, key);
        if index >= WINDOWS_MAX {
            return reader.refuse(&at("start"), format!("there are more than {WINDOWS_MAX}"));
        }
        let endpoint = match &typed.endpoint {
            None => None,
            Some(name) => {
                let names =
                    || ENDPOINTS.iter().map(|one| one.name()).chain([Brownout::PASSTHROUGH]);
                let known = names().find(|known| known == name);
                if known.is_none() {
                    let question = question(name, names());
                    let what = format!("no legacy endpoint has this name{question}");
                    return reader.refuse(&at("endpoint"), what);
                }
                if !passes && known == Some(Brownout::PASSTHROUGH) {
                    let what = "nothing passes through, so nothing would answer 503: set enabled = true in \
                                [passthrough], or leave this window out";
                    return reader.refuse(&at("endpoint"), what);
                }
                known
            }
        };
        if let Some(name) = &typed.caller
            && !callers.iter().any(|caller| caller.name == *name)
        {
            let question = question(name, callers.iter().map(|caller| caller.name.as_str()));
            let what = format!("there is no [[caller]] of this name{question}");
            return reader.refuse(&at("caller"), what);
        }
        let (Edge(start), Edge(end)) = (typed.start, typed.end);
        if end <= start {
            return reader.refuse(&at("end"), "must be at least a second after start");
        }
        let window = Brownout { endpoint, caller: typed.caller.clone(), start, end };
        if let Some(other) = windows.iter().position(|other| other.repeats(&window)) {
            let first = field_in_list(&["brownout"], other, "start");
            let what = format!(
                "overlaps the window of {}, which has the same endpoint and caller",
                reader.place(&first)
            );
            return reader.refuse_second(&at("start"), &first, what);
        }
        windows.push(window);
    }
    Ok(windows)
}

impl Brownout {
    /// The endpoint of requests that are not translated.
    pub const PASSTHROUGH: &str = "passthrough";

    /// Whether both are of one endpoint and caller, and have time in common.
    fn repeats(&self, other: &Brownout) -> bool {
        self.endpoint == other.endpoint
            && self.caller == other.caller
            && self.start < other.end
            && other.start < self.end
    }
}
