//! `[[brownout]]`: how windows are written, and which are refused.

use std::path::Path;

use settings::{Brownout, Config};

const BASE: &str = r#"[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc.example"
[[caller]]
name = "crm"
legacy_key = { env = "CRM" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
[[caller]]
name = "wallboard"
legacy_key = { env = "WALLBOARD" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
"#;

fn env() -> Vec<(String, String)> {
    ["CRM", "WALLBOARD", "V4"].map(|name| (name.to_owned(), format!("key-{name}"))).into()
}

/// The windows of tables that each stand for one.
fn read(windows: &[&str]) -> Result<Vec<Brownout>, String> {
    let tables: String = windows.iter().map(|lines| format!("[[brownout]]\n{lines}\n")).collect();
    let config = Config::parse(&format!("{BASE}{tables}"), "t.toml", &env());
    config.map(|config| config.brownouts).map_err(|error| error.to_string())
}

const THROUGH: &str = "endpoint = \"passthrough\"";

const HOUR: &str = "start = 2026-12-03T09:00:00Z\nend = 2026-12-03T10:00:00Z";

#[test]
fn a_window_is_written_as_moments_of_toml_or_as_text_with_any_offset() {
    for times in [
        HOUR,
        "start = \"2026-12-03T09:00:00Z\"\nend = \"2026-12-03T10:00:00Z\"",
        "start = 2026-12-03T10:00:00+01:00\nend = 2026-12-03T04:00:00-06:00",
        "start = 2026-12-03 09:00:00Z\nend = 2026-12-03t10:00:00z",
    ] {
        let named = format!("endpoint = \"v1_users\"\ncaller = \"crm\"\n{times}");
        let [window] = read(&[&named]).unwrap().try_into().unwrap();
        let (start, end) = (1_796_288_400, 1_796_292_000);
        let caller = Some("crm".to_owned());
        assert_eq!(window, Brownout { endpoint: Some("v1_users"), caller, start, end }, "{times}");
    }
    let [window] = read(&[HOUR]).unwrap().try_into().unwrap();
    assert_eq!((window.endpoint, window.caller), (None, None));
    let text = format!("{BASE}[passthrough]\nenabled = true\n[[brownout]]\n{THROUGH}\n{HOUR}\n");
    let through = Config::parse(&text, "t.toml", &env()).unwrap().brownouts;
    assert_eq!(through[0].endpoint, Some("passthrough"));
    assert_eq!(read(&[]), Ok(Vec::new()));
}

#[test]
fn a_window_that_makes_no_sense_is_refused_by_line_and_field() {
    let form = "must be a date, a time and its offset, such as 2026-12-03T09:00:00Z";
    for (lines, told) in [
        (
            HOUR.replace("10:00:00Z", "09:00:00Z"),
            "brownout[0].end: must be at least a second after start",
        ),
        (
            HOUR.replace("10:00:00Z", "08:00:00Z"),
            "brownout[0].end: must be at least a second after start",
        ),
        (HOUR.replace("09:00:00Z", "09:00:00"), &format!("brownout[0].start: {form}")),
        (HOUR.replace("T09:00:00Z", ""), &format!("brownout[0].start: {form}")),
        (HOUR.replace("2026-12-03T09:00:00Z", "09:00:00"), &format!("brownout[0].start: {form}")),
        (HOUR.replace("2026-12-03T09:00:00Z", "\"soon\""), &format!("brownout[0].start: {form}")),
        (
            HOUR.replace("2026-12-03T09:00:00Z", "5"),
            "brownout[0].start: expected a date and a time",
        ),
        (HOUR.lines().next().unwrap().to_owned(), "brownout[0].end: is required"),
        (
            format!("endpoint = \"v1_user\"\n{HOUR}"),
            "brownout[0].endpoint: no legacy endpoint has this name, did you mean v1_users?",
        ),
        (
            format!("endpoint = \"pasthrough\"\n{HOUR}"),
            "brownout[0].endpoint: no legacy endpoint has this name, did you mean passthrough?",
        ),
        (
            format!("caller = \"walboard\"\n{HOUR}"),
            "brownout[0].caller: there is no [[caller]] of this name, did you mean wallboard?",
        ),
        (
            format!("callers = \"crm\"\n{HOUR}"),
            "brownout[0].callers: unknown field, did you mean caller?",
        ),
    ] {
        let error = read(&[&lines]).unwrap_err();
        assert!(error.starts_with("t.toml:") && error.contains(told), "{lines}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let one = format!("{BASE}[brownout]\n{HOUR}\n");
    let error = Config::parse(&one, "t.toml", &env()).unwrap_err().to_string();
    assert!(error.ends_with("brownout: write [[brownout]]: there may be several"), "{error}");
}

#[test]
fn a_window_of_passthrough_needs_passthrough() {
    for passthrough in ["", "[passthrough]\nenabled = false\n"] {
        let text = format!("{BASE}{passthrough}[[brownout]]\n{HOUR}\n{THROUGH}\n");
        let line = text.lines().position(|line| line == THROUGH).unwrap() + 1;
        let error = Config::parse(&text, "t.toml", &env()).unwrap_err().to_string();
        let told = format!(
            "t.toml:{line}: brownout[0].endpoint: nothing passes through, so nothing would answer 503: \
             set enabled = true in [passthrough], or leave this window out"
        );
        assert_eq!(error, told);
    }
}

#[test]
fn windows_of_one_endpoint_and_caller_may_touch_and_not_overlap() {
    let next = "start = 2026-12-03T10:00:00Z\nend = 2026-12-03T11:00:00Z";
    let within = "start = 2026-12-03T09:30:00Z\nend = 2026-12-03T09:31:00Z";
    let of = |who: &str, times: &str| format!("{who}\n{times}");
    assert_eq!(read(&[HOUR, next]).unwrap().len(), 2);
    let named = of("endpoint = \"v1_users\"", within);
    assert_eq!(read(&[HOUR, &named]).unwrap().len(), 2);
    assert_eq!(
        read(&[&of("caller = \"crm\"", HOUR), &of("caller = \"wallboard\"", HOUR)]).unwrap().len(),
        2
    );
    for (first, second) in [(HOUR, within), (within, HOUR), (HOUR, HOUR)] {
        let error = read(&[first, second]).unwrap_err();
        let told = "t.toml:20: brownout[1].start: overlaps the window of t.toml:17, \
                    which has the same endpoint and caller";
        assert_eq!(error, told);
    }
    let crm = of("caller = \"crm\"", HOUR);
    assert!(read(&[&crm, &crm]).is_err());
}

#[test]
fn there_are_a_thousand_windows_at_most() {
    let window = |day: u32| {
        let (year, day) = (2030 + day / 28, day % 28 + 1);
        format!("start = {year}-02-{day:02}T00:00:00Z\nend = {year}-02-{day:02}T01:00:00Z")
    };
    let windows: Vec<String> = (0..1001).map(window).collect();
    let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
    assert_eq!(read(&windows[..1000]).unwrap().len(), 1000);
    let error = read(&windows).unwrap_err();
    assert!(error.contains("brownout[1000].start: there are more than 1000"), "{error}");
}

#[test]
fn windows_are_shown_and_count_for_the_fingerprint() {
    let text = format!("{BASE}[[brownout]]\n{HOUR}\n");
    let shown = Config::shown(&text, "t.toml", Path::new(""), &env()).unwrap();
    let line = |name: &str| {
        let setting = shown.iter().find(|setting| setting.name() == name).unwrap();
        (setting.value(), setting.origin().to_owned())
    };
    let at = |line: u32| format!("t.toml:{line}");
    assert_eq!(line("brownout[0].start"), ("\"2026-12-03T09:00:00Z\"".to_owned(), at(17)));
    assert_eq!(line("brownout[0].caller").1, "default");
    let json: Vec<_> = shown.iter().map(|setting| setting.json()).collect();
    let of =
        |name: &str| json.iter().find(|json| json["setting"] == name).unwrap()["value"].clone();
    assert_eq!(of("brownout[0].end"), "2026-12-03T10:00:00Z");
    let fingerprint = |text: &str| Config::parse(text, "t.toml", &env()).unwrap().fingerprint();
    assert_ne!(fingerprint(&text), fingerprint(BASE));
}
