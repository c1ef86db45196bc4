//! Reads the log filter: which modules may log down to which level.
//!
//! Must never mute the log by accident: a part that is not understood is refused. Must never repeat
//! the text of a filter in an error: it comes from the environment, where keys are.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::failure::Failure;

/// The variables that hold a filter. The first one that is set goes before the configured level.
const VARIABLES: [&str; 2] = ["TIELINE_LOG", "RUST_LOG"];

/// The one among them that other programs read as well.
const SHARED: &str = "RUST_LOG";

/// Said where a filter for another program was found.
const NOT_MEANT: &str = "RUST_LOG names no module of this program and no level, so log.level decides \
                         for all other modules; TIELINE_LOG overrides both";

/// What to write instead of a filter that cannot be read.
const FILTERS: &str = "use trace, debug, info, warn, error or off, or a list such as \
                       info,gateway=debug";

/// The HTTP/2 library logs malformed paths whole at `debug`, and keys travel in queries: so this
/// module logs down to `info` at most, whatever a filter says.
const LOGS_PATHS: &str = "h2::server";
const LOGS_PATHS_MAX: LevelFilter = LevelFilter::INFO;

/// A filter, and what the log has to say about its choice.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) filter: Targets,
    pub(super) warning: Option<&'static str>,
}

/// The filter of the first variable that is set, or else the configured `level`.
pub(super) fn choose(
    variable: impl Fn(&str) -> Option<String>,
    level: &str,
) -> Result<Chosen, Failure> {
    let chosen = |filter| Chosen { filter, warning: None };
    for name in VARIABLES {
        let Some(text) = variable(name).filter(|text| !text.is_empty()) else { continue };
        let wrong = |why: &str| Failure::new(format_args!("{name}: {why}; {FILTERS}"));
        let filter = read(&text).map_err(|why| wrong(&why))?;
        if !settings::is_mute(&text) {
            return Ok(chosen(filter));
        }
        if name != SHARED {
            return Err(wrong(settings::MUTE));
        }
        // Somebody set it for all programs of a machine, or of a pod.
        let filter = read(&format!("{level},{text}")).map_err(|why| wrong(&why))?;
        return Ok(Chosen { filter, warning: Some(NOT_MEANT) });
    }
    let filter = read(level);
    let wrong = |why| Failure::configuration(format_args!("log.level: {why}; {FILTERS}"));
    filter.map(chosen).map_err(wrong)
}

/// Reads parts with commas between them, each a level or `MODULE=LEVEL`. The error says what is
/// wrong with which part, counted from 1.
fn read(text: &str) -> Result<Targets, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.iter().all(|part| part.is_empty()) {
        return Err("is empty".to_owned());
    }
    let mut filter = Targets::new();
    for (place, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let wrong = |what: &str| format!("part {} {what}", place + 1);
        if part.contains(['[', ']', '{', '}']) {
            return Err(wrong("is a filter by span or field, which is not supported"));
        }
        let (module, level) = match part.rsplit_once('=') {
            Some((module, level)) => (Some(module.trim()), level.trim()),
            None => (None, part),
        };
        // The parser takes an empty text for a level, too.
        let level = Some(level).filter(|level| !level.is_empty());
        let level = level.and_then(|level| level.parse::<LevelFilter>().ok());
        filter = match (module, level) {
            (None, Some(level)) => filter.with_default(level),
            (None, None) => return Err(wrong("is not a level; a module is MODULE=LEVEL")),
            (Some(_), None) => return Err(wrong("has no level behind the =")),
            (Some(module), Some(level)) if is_module(module) => {
                filter.with_target(module, held_back(module, level))
            }
            (Some(_), Some(_)) => return Err(wrong("has no module before the =")),
        };
    }
    let level = held_back(LOGS_PATHS, finest(&filter, LOGS_PATHS));
    Ok(filter.with_target(LOGS_PATHS, level))
}

/// Down to which level a module may log.
fn finest(filter: &Targets, module: &str) -> LevelFilter {
    let all = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let level = all.into_iter().find(|level| filter.would_enable(module, level));
    level.map_or(LevelFilter::OFF, LevelFilter::from_level)
}

/// The level itself, but never finer than a module that logs paths may have.
fn held_back(module: &str, level: LevelFilter) -> LevelFilter {
    if module.starts_with(LOGS_PATHS) { level.min(LOGS_PATHS_MAX) } else { level }
}

fn is_module(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "_-:./".contains(c);
    !text.is_empty() && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_list_is_a_filter_and_a_misspelt_level_is_not() {
        for (text, good) in [
            ("info", true),
            ("WARN", true),
            ("off", true),
            ("info,gateway=debug", true),
            ("inof", false),
            ("", false),
            ("gateway=loud", false),
            // The same in more places.
            (" info , gateway = debug ", true),
            ("info,", true),
            ("3", true),
            ("gateway::layers=trace,hyper-util=off", true),
            ("info,inof", false),
            ("verbose", false),
            ("gateway", false),
            ("gateway=", false),
            ("=info", false),
            ("gateway=debug=info", false),
            ("\"gateway\"=debug", false),
            (" , ", false),
        ] {
            assert_eq!(read(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_filter_by_span_or_field_is_refused_by_its_own_words() {
        for text in [
            "[request]",
            "info,gateway[request]=debug",
            "gateway[{id}]=debug",
            "gateway[request{id=\"7\",caller}]=debug,info",
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains("by span or field, which is not supported"), "{text}: {why}");
        }
    }

    #[test]
    fn an_error_names_the_part_and_never_repeats_it() {
        for (text, part) in
            [("canary", "part 1 "), ("info,,canary", "part 3 "), ("info,x=canary", "part 2 ")]
        {
            let why = read(text).unwrap_err();
            assert!(why.starts_with(part) && !why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn the_longest_module_counts_and_a_list_without_a_level_is_silent_elsewhere() {
        let filter = read("info,gateway=warn,gateway::layers=trace").unwrap();
        assert_eq!(finest(&filter, "tieline::otlp"), LevelFilter::INFO);
        assert_eq!(finest(&filter, "gateway::state"), LevelFilter::WARN);
        assert_eq!(finest(&filter, "gateway::layers::trace"), LevelFilter::TRACE);
        let filter = read("gateway=debug").unwrap();
        assert_eq!(finest(&filter, "tieline"), LevelFilter::OFF);
    }

    #[test]
    fn the_module_that_logs_paths_never_gets_finer_than_info() {
        for (text, level) in [
            ("trace", LevelFilter::INFO),
            ("h2=trace", LevelFilter::INFO),
            ("h2::server=trace", LevelFilter::INFO),
            ("h2::server::more=trace,debug", LevelFilter::INFO),
            ("error", LevelFilter::ERROR),
            ("trace,h2=off", LevelFilter::OFF),
            ("gateway=trace", LevelFilter::OFF),
        ] {
            let filter = read(text).unwrap();
            assert_eq!(finest(&filter, "h2::server"), level, "{text}");
            assert!(finest(&filter, "h2::server::more") <= LevelFilter::INFO, "{text}");
        }
    }

    #[test]
    fn the_variable_of_the_product_goes_before_the_common_one_and_both_before_the_level() {
        let choose = |own: Option<&str>, common: Option<&str>, level: &str| {
            let variable = |name: &str| match name {
                "TIELINE_LOG" => own.map(str::to_owned),
                "RUST_LOG" => common.map(str::to_owned),
                _ => None,
            };
            choose(variable, level).map(|chosen| finest(&chosen.filter, "gateway"))
        };
        assert_eq!(choose(Some("debug"), Some("error"), "warn").ok(), Some(LevelFilter::DEBUG));
        assert_eq!(choose(None, Some("error"), "warn").ok(), Some(LevelFilter::ERROR));
        assert_eq!(choose(Some(""), Some(""), "warn").ok(), Some(LevelFilter::WARN));
        assert_eq!(choose(Some(""), Some("error"), "warn").ok(), Some(LevelFilter::ERROR));
        // A variable that is wrong is never passed over for the next one.
        let failed = choose(Some("inof"), Some("error"), "warn").unwrap_err();
        assert!(failed.text().starts_with("TIELINE_LOG: part 1 is not a level"), "{failed:?}");
        let failed = choose(None, Some("inof"), "warn").unwrap_err();
        assert!(failed.text().starts_with("RUST_LOG: part 1 is not a level"), "{failed:?}");
        let failed = choose(None, None, "inof").unwrap_err();
        assert!(failed.text().starts_with("log.level: part 1 is not a level"), "{failed:?}");
    }

    #[test]
    fn a_filter_for_another_program_never_mutes_this_one() {
        let choose = |name: &'static str, filter: &str| {
            choose(|asked| (asked == name).then(|| filter.to_owned()), "info")
        };
        for filter in ["sqlx=warn", "sqlx=warn,hyper=debug", "gatway=debug", "gateway=off"] {
            let failed = choose("TIELINE_LOG", filter).unwrap_err();
            assert!(failed.text().contains("names no module of this program"), "{failed:?}");
        }
        let chosen = choose("RUST_LOG", "sqlx=warn,hyper=debug").unwrap();
        assert_eq!(finest(&chosen.filter, "gateway"), LevelFilter::INFO);
        assert_eq!(finest(&chosen.filter, "sqlx"), LevelFilter::WARN);
        assert_eq!(finest(&chosen.filter, "hyper"), LevelFilter::DEBUG);
        assert!(chosen.warning.is_some());
        for (name, filter) in [("RUST_LOG", "off"), ("TIELINE_LOG", "gateway=warn,sqlx=debug")] {
            assert!(choose(name, filter).unwrap().warning.is_none(), "{filter}");
        }
    }
}
