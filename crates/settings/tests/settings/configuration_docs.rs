//! What the pages say about the configuration: every field is there, every default is the real one,
//! every printed configuration loads, and the printed tables and samples are those of the code.
//!
//! Must never take a page's word for anything that the code can be asked.
#![expect(clippy::panic, reason = "a test may")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use settings::Config;

const PAGE: &str = include_str!("../../../../docs/CONFIGURATION.md");
const README: &str = include_str!("../../../../README.md");
const EXAMPLE: &str = include_str!("../../../../deploy/tieline.example.toml");
const TYPED: &str = concat!(
    include_str!("../../src/lib.rs"),
    include_str!("../../src/section/answer.rs"),
    include_str!("../../src/section/brownouts.rs"),
    include_str!("../../src/section/callers.rs"),
    include_str!("../../src/section/commons.rs"),
    include_str!("../../src/section/cors.rs"),
    include_str!("../../src/section/limits.rs"),
    include_str!("../../src/section/log.rs"),
    include_str!("../../src/section/pace.rs"),
    include_str!("../../src/section/passthrough.rs"),
    include_str!("../../src/section/roster.rs"),
    include_str!("../../src/section/server.rs"),
    include_str!("../../src/section/shadow.rs"),
    include_str!("../../src/section/stores.rs"),
    include_str!("../../src/section/traces.rs"),
    include_str!("../../src/section/upstreams.rs"),
    include_str!("../../../domain/src/upstream/mapping.rs"),
);
const QUIRKS: &str = include_str!("../../../domain/src/quirks.rs");
const GOLDEN: &str = "../domain/golden/v1_users/voiso-v4__documented_user";

/// Where the page has the rows of each struct of the configuration; what stands before the names of
/// its fields there. `Config` itself is the list of tables.
const PLACES: &[(&str, &str, &str)] = &[
    ("Server", "## `[server]`", ""),
    ("Tls", "## `[server]`", "tls."),
    ("Admin", "## `[admin]`", ""),
    ("Log", "## `[log]`", ""),
    ("Traces", "## `[traces]`", ""),
    ("Limits", "## `[limits]`", ""),
    ("Lookups", "## `[lookups]`", ""),
    ("Roster", "## `[roster]`", ""),
    ("Commons", "## `[commons]`", ""),
    ("Cache", "## `[cache]`", ""),
    ("Answer", "## `[answer]`", ""),
    ("Upstream", "## `[upstream.<name>]`", ""),
    ("Mapping", "### `[upstream.<name>.mapping]`", ""),
    ("Caller", "## `[[caller]]`", ""),
    ("Brownout", "## `[[brownout]]`", ""),
    ("Key", "### Secrets", ""),
    ("Lists", "## `[[caller]]`", "sees."),
    ("Passthrough", "## `[passthrough]`", ""),
    ("Route", "### `[[passthrough.route]]`", ""),
    ("Cors", "## `[cors]`", ""),
    ("Shadow", "## `[shadow]`", ""),
    ("Quirks", "## `[legacy.v1_users]`", ""),
    ("Filters", "### `[legacy.v1_users.filters]`", ""),
    ("InvalidKey", "### `[legacy.v1_users.invalid_key]`", ""),
];

#[test]
fn every_field_of_the_configuration_has_its_place_on_the_page() {
    let mut seen = 0;
    for (structure, field) in fields(TYPED).into_iter().chain(fields(QUIRKS)) {
        if structure == "Config" {
            let heads = [format!("[{field}"), format!("[[{field}"), format!("`{field}.")];
            assert!(heads.iter().any(|head| PAGE.contains(head)), "no table {field}");
            continue;
        }
        let place = PLACES.iter().find(|(name, ..)| *name == structure);
        let (_, heading, before) =
            place.unwrap_or_else(|| panic!("say in PLACES where {structure}.{field} is explained"));
        let name = format!("{before}{field}");
        // A secret's three forms are rows of their own shape.
        let said = [format!("`{name}`"), format!("{{ {name} = ")];
        let rows: Vec<&str> = rows(section(PAGE, heading)).collect();
        let first = |row: &&&str| row.split('|').nth(1).unwrap_or_default().to_owned();
        let hit = rows.iter().any(|row| said.iter().any(|said| first(&row).contains(said)));
        assert!(hit, "docs/CONFIGURATION.md, {heading}: no row for `{name}`");
        seen += 1;
    }
    assert!(seen >= 85, "{seen} fields: did the structs move?");
}

#[test]
fn every_word_that_a_field_takes_stands_on_the_page() {
    let others = [
        include_str!("../../../domain/src/upstream.rs"),
        include_str!("../../../domain/src/id.rs"),
        include_str!("../../../domain/src/sweep.rs"),
        include_str!("../../../domain/src/sweep/outcome.rs"),
        include_str!("../../../domain/src/sweep/rows.rs"),
    ]
    .concat();
    let mut seen = 0;
    for source in [TYPED, QUIRKS, &others] {
        for word in words(source) {
            assert!(PAGE.contains(&format!("`{word}`")), "docs/CONFIGURATION.md: no `{word}`");
            seen += 1;
        }
    }
    assert!(seen >= 45, "{seen} words: did the enums move?");
}

#[test]
fn every_default_on_the_page_is_the_default() {
    let mut text = String::new();
    let mut seen = 0;
    let common = [
        ("[server]", "## `[server]`"),
        ("[admin]", "## `[admin]`"),
        ("[log]", "## `[log]`"),
        ("[limits]", "## `[limits]`"),
        ("[lookups]", "## `[lookups]`"),
        ("[cache]", "## `[cache]`"),
        ("[answer]", "## `[answer]`"),
        ("[roster]", "## `[roster]`"),
        ("[passthrough]", "## `[passthrough]`"),
        ("[cors]", "## `[cors]`"),
        (SHADOW, "## `[shadow]`"),
        (COMMONS, "## `[commons]`"),
        ("[legacy]", "## `[legacy]`"),
        ("[legacy.v1_users]", "## `[legacy.v1_users]`"),
        ("[legacy.v1_users.filters]", "### `[legacy.v1_users.filters]`"),
        ("[legacy.v1_users.invalid_key]", "### `[legacy.v1_users.invalid_key]`"),
        (UPSTREAM, "## `[upstream.<name>]`"),
        (CALLER, "## `[[caller]]`"),
    ];
    for (head, heading) in common {
        text.push_str(&format!("\n{head}\n"));
        for row in rows(section(PAGE, heading)) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let (Some(name), Some(default)) = (code(cells[1]), default(cells[3], "voiso-v4"))
            else {
                continue;
            };
            text.push_str(&format!("{name} = {default}\n"));
            seen += 1;
        }
    }
    assert!(seen >= 45, "{seen} defaults: did the tables move?");
    is_left_out(&text, &format!("{SHADOW}\n{COMMONS}\n{UPSTREAM}\n{CALLER}\n"));
}

#[test]
fn every_default_over_vonage_is_the_default() {
    let mut text = format!("{CALLER}\n");
    let mut seen = 0;
    for (head, heading) in [
        (VONAGE, "## `[upstream.<name>]`"),
        ("[upstream.ams.mapping]", "### `[upstream.<name>.mapping]`"),
    ] {
        text.push_str(&format!("\n{head}\n"));
        for row in rows(section(PAGE, heading)) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let (Some(name), Some(default)) = (code(cells[1]), default(cells[3], "vonage-v4"))
            else {
                continue;
            };
            text.push_str(&format!("{name} = {default}\n"));
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} defaults: did the tables move?");
    is_left_out(&text, &format!("{VONAGE}\n{CALLER}\n"));
}

/// A configuration that says every default must be the one that says none.
#[track_caller]
fn is_left_out(text: &str, required: &str) {
    let as_documented = load(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let left_out = load(required).unwrap_or_else(|error| panic!("{error}\n{required}"));
    assert_eq!(format!("{as_documented:#?}"), format!("{left_out:#?}"));
}

#[test]
fn every_printed_configuration_loads() {
    let mut seen = 0;
    for (file, page) in [("README.md", README), ("docs/CONFIGURATION.md", PAGE)] {
        for block in fenced(page, "toml") {
            assert!(block.contains("[[caller]]"), "{file}: print it whole, so that it loads");
            if let Err(error) = load(&block) {
                panic!("{file}: {error}\n{block}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen} configurations");
}

#[test]
fn the_vonage_lines_of_the_example_work_when_they_are_uncommented() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut text = String::new();
    for head in ["# [upstream.vcc]", "# [upstream.vcc.mapping]", "# name = \"vcc-crm\""] {
        let from = lines.iter().position(|line| *line == head);
        let from = from.unwrap_or_else(|| panic!("deploy/tieline.example.toml: no line {head}"));
        if head.contains("name") {
            text.push_str("[[caller]]\n");
        }
        // Up to an empty line; what explains stands behind two marks.
        for line in lines[from..].iter().take_while(|line| !line.is_empty()) {
            text.push_str(line.strip_prefix("# ").unwrap_or_default());
            text.push('\n');
        }
    }
    let config = load(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let upstream = &config.upstreams["vcc"];
    assert_eq!(upstream.dialect.name(), "vonage-v4");
    // What the example says of Vonage are the defaults, too.
    let required = load(&format!("{VONAGE}\n{CALLER}\n")).unwrap_or_else(|error| panic!("{error}"));
    let limits = |upstream: &settings::Upstream| {
        (upstream.page_rows_max, upstream.requests_per_minute_max, upstream.page_bytes_max)
    };
    assert_eq!(limits(upstream), limits(&required.upstreams["ams"]));
    assert_eq!(
        format!("{:?}", upstream.rules),
        format!("{:?}", required.upstreams["ams"].rules),
        "the rules"
    );
}

#[test]
fn the_commons_of_the_example_works_when_it_is_uncommented() {
    let lines = EXAMPLE.lines().skip_while(|line| *line != "# [commons]");
    let lines = lines.take_while(|line| !line.is_empty());
    let text: String = lines.map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let secrets = "{ env = \"SEAL_KEY\" }";
    let text = text.replace("{ file = \"/run/secrets/tieline_seal\" }", secrets);
    let text = text.replace("/run/secrets/valkey_password", "valkey_password");
    let of_all = |line: &&str| line.contains(" = ") || line.starts_with('[');
    let text: Vec<&str> = text
        .lines()
        .filter(of_all)
        .filter(|line| !line.starts_with("ca_file") && !line.starts_with("primary"))
        .collect();
    let text = format!("{}\n{UPSTREAM}\n{CALLER}\n", text.join("\n"));
    let commons =
        load(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).commons.expect("a commons");
    assert_eq!((commons.replicas_max, commons.addresses.len(), commons.values_at.len()), (4, 1, 1));
}

#[test]
fn the_printed_dictionaries_are_the_built_in_ones() {
    let none = std::collections::BTreeMap::new();
    let zones: Vec<(String, String)> = pairs("### Time zones", 1, 3);
    assert_eq!(zones.len(), 14);
    for (zone, shown) in &zones {
        assert_eq!(domain::time_zone::legacy_name(zone, &none), Some(shown.as_str()));
    }
    for (zone, names) in pairs("### Time zones", 1, 2) {
        for name in names.split(", ") {
            assert_eq!(domain::time_zone::canonical(name), zone);
        }
    }
    let channels = pairs("### Channels", 1, 2);
    let built_in: Vec<_> = domain::channel::DISPLAY_NAMES
        .iter()
        .map(|(slug, name)| ((*slug).to_owned(), (*name).to_owned()))
        .collect();
    assert_eq!(channels, built_in);
}

#[test]
fn the_sample_in_the_readme_is_the_golden_one() {
    let samples: Vec<Value> = fenced(README, "json")
        .map(|block| serde_json::from_str(&block).expect("the README's samples are JSON"))
        .collect();
    let [v4, v1] = samples.as_slice() else { panic!("{} samples", samples.len()) };
    assert_eq!(*v1, golden("legacy.json"));
    let page = golden("page_1.json");
    let (short, whole) = (&v4["users"][0], &page["users"][0]);
    for (field, value) in short.as_object().expect("a user") {
        assert_eq!(*value, whole[field], "{field}");
    }
    assert_eq!(v4["metadata"], page["metadata"]);
}

const SHADOW: &str = "[shadow]\ncontrol = \"https://cc.example\"";
const COMMONS: &str = "[commons]\nvalkey = [\"valkey://127.0.0.1:6379\"]\n\
                       seal_key = { env = \"SEAL_KEY\" }\nreplicas_max = 4";
const UPSTREAM: &str = "[upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"https://cc.example\"";
const VONAGE: &str = "[upstream.ams]\ndialect = \"vonage-v4\"\nbase_url = \"https://cc.example\"\n\
                      token_url = \"https://cc.example/token\"";
const CALLER: &str = "[[caller]]\nname = \"crm\"\nlegacy_key = { env = \"LEGACY_KEY\" }\n\
                      upstream = \"ams\"\nupstream_key = { env = \"V4_KEY\" }\nsees = \"everything\"";

/// Loads a configuration; every variable it asks for is set, every file it names is there. A secret
/// is a key and the id and secret of a client in one.
fn load(text: &str) -> Result<Config, String> {
    let names = text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let names: BTreeSet<&str> = names.collect();
    let key = |name: &str| match name {
        "SEAL_KEY" => format!("{}=", "A".repeat(43)),
        _ => format!("key:{name}"),
    };
    let env: Vec<_> = names.iter().map(|name| ((*name).to_owned(), key(name))).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut text = text.to_owned();
    for (field, content) in [("{ file = \"", "a:key\n"), ("id_map = \"", "some-id,1\n")] {
        for name in text.clone().split(field).skip(1).filter_map(|rest| rest.split('"').next()) {
            let file = folder.join(name);
            std::fs::write(&file, content).map_err(|error| error.to_string())?;
            text = text.replace(&format!("\"{name}\""), &format!("{file:?}"));
        }
    }
    Config::parse(&text, "printed", &env).map_err(|error| error.to_string())
}

/// Struct and name of every field that serde fills: those of structs that refuse unknown fields. A
/// struct `TypedServer` stands for the table of `Server`.
fn fields(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("#[serde(deny_unknown_fields").skip(1) {
        let (head, rest) = part.split_once("struct ").unwrap_or_default();
        assert!(head.lines().count() < 5, "deny_unknown_fields of no struct: {head}");
        let (name, rest) = rest.split_once(" {\n").unwrap_or_default();
        let structure = name.strip_prefix("Typed").unwrap_or(name);
        for line in rest.lines().take_while(|line| *line != "}") {
            let bare = ["pub(crate) ", "pub "]
                .iter()
                .fold(line.trim_start(), |bare, visibility| bare.trim_start_matches(visibility));
            if let Some((name, _)) = bare.split_once(": ")
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            {
                found.push((structure.to_owned(), name.to_owned()));
            }
        }
    }
    found
}

/// The words of every enum that serde reads in snake case.
fn words(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in source.split("#[serde(rename_all = \"snake_case\")]").skip(1) {
        let body = part.split_once("enum ").and_then(|(_, rest)| rest.split_once('}'));
        for line in body.map_or("", |(body, _)| body).lines().skip(1) {
            let Some(variant) = line.trim().strip_suffix(',') else { continue };
            let mut word = String::new();
            for letter in variant.chars() {
                if letter.is_ascii_uppercase() && !word.is_empty() {
                    word.push('_');
                }
                word.push(letter.to_ascii_lowercase());
            }
            if word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
                found.push(word);
            }
        }
    }
    found
}

/// What stands below a heading, up to the next one of any level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n{heading}\n"));
    let start = start.unwrap_or_else(|| panic!("docs/CONFIGURATION.md: no heading {heading}"));
    let below = &page[start + heading.len() + 2..];
    let end = below.find("\n## ").into_iter().chain(below.find("\n### ")).min();
    &below[..end.unwrap_or(below.len())]
}

fn rows(section: &str) -> impl Iterator<Item = &str> {
    section.lines().filter(|line| line.starts_with("| `"))
}

/// The text of a cell that is nothing but code.
fn code(cell: &str) -> Option<&str> {
    let inner = cell.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then_some(inner)
}

/// The default in a cell, where it is nothing but code: one for all dialects, or another one for
/// Vonage in brackets behind it.
fn default<'a>(cell: &'a str, dialect: &str) -> Option<&'a str> {
    match cell.split_once(" (`vonage-v4`: ") {
        Some((_, vonage)) if dialect == "vonage-v4" => code(vonage.strip_suffix(')')?),
        Some((others, _)) => code(others),
        None => code(cell),
    }
}

/// Two columns of a table.
fn pairs(heading: &str, key: usize, value: usize) -> Vec<(String, String)> {
    let cell = |row: &str, column| row.split('|').nth(column).unwrap_or_default().trim().to_owned();
    let rows = rows(section(PAGE, heading));
    rows.map(|row| (cell(row, key).replace('`', ""), cell(row, value))).collect()
}

/// The content of every fenced block of a language.
fn fenced<'a>(page: &'a str, language: &str) -> impl Iterator<Item = String> + 'a {
    let head = format!("```{language}\n");
    let blocks: Vec<String> = page
        .split("\n```")
        .collect::<Vec<_>>()
        .chunks(2)
        .filter_map(|pair| {
            let block = pair.get(1)?;
            format!("```{block}").strip_prefix(&head).map(str::to_owned)
        })
        .collect();
    blocks.into_iter()
}

fn golden(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN).join(file);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
