//! No circle among modules, and no layer that names another. A circle is a set of rooms none of which
//! can be read, tested or moved alone.
//!
//! A module uses another one where its code has a path to it, from `crate::` or `super::`. Paths are
//! compared at every level: among the modules of a crate, and among the modules of one folder. Paths to a
//! module's own parts, and paths in tests, do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The crates with more than a few files: each of them is free of circles.
const FREE: &[&str] = &[
    "commons",
    "corpus",
    "domain",
    "gateway",
    "limits",
    "parity",
    "report",
    "roster",
    "settings",
    "shadow",
    "simulator",
    "tieline",
    "transport",
];

/// Folders of the gateway whose files are layers or what layers use. `stack.rs` orders them.
const LAYERS: &[&str] = &["edge", "line", "list"];

/// Which modules each module uses, by the level that they share: the path of their parent.
type Uses = BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn the_modules_of_a_crate_form_no_circle() {
    let mut found = Vec::new();
    for name in FREE {
        let files = files(name);
        assert!(files.len() >= 3, "crates/{name}/src: only {} files", files.len());
        for (level, uses) in uses(&files) {
            for circle in circles(&uses) {
                let place = [&["crate".to_owned()], &level[..]].concat().join("::");
                found.push(format!("{name}, {place}: {}", circle.join(" ")));
            }
        }
    }
    assert!(found.is_empty(), "modules that use each other in a circle:\n{}", found.join("\n"));
}

#[test]
fn layers_never_name_each_other() {
    let files = files("gateway");
    let recipe = files.iter().find(|(module, _)| module.join("::") == "stack");
    let recipe = recipe.map(|(_, text)| text.as_str()).unwrap_or_default();
    // A layer is what the recipe lists from these folders, and what acts around a service.
    let is_layer = |path: &Vec<String>| {
        let file = files.iter().find(|(module, _)| module == path);
        file.is_some_and(|(_, text)| text.contains("inner: S") || text.contains("Around<"))
    };
    let layers: BTreeSet<Vec<String>> = paths(&["stack".to_owned()], recipe)
        .into_iter()
        .filter_map(layer)
        .filter(is_layer)
        .collect();
    assert!(layers.len() >= 12, "only {} layers found: did the recipe move?", layers.len());
    let mut found = Vec::new();
    for (module, text) in &files {
        let Some(own) = layer(module.clone()).filter(|own| layers.contains(own)) else { continue };
        for named in paths(module, text).into_iter().filter_map(layer) {
            if named != own && layers.contains(&named) {
                found.push(format!("{} names {}", own.join("/"), named.join("/")));
            }
        }
    }
    let advice = "the values between layers live in layer/call.rs, and their order in stack.rs";
    assert!(found.is_empty(), "{advice}:\n{}", found.join("\n"));
}

/// The layer that a path leads to or into, if it leads to one.
fn layer(path: Vec<String>) -> Option<Vec<String>> {
    let is_layer = path.len() >= 2 && LAYERS.contains(&path.first()?.as_str());
    is_layer.then(|| path[..2].to_vec())
}

#[test]
fn a_circle_is_found_at_every_level_and_a_path_from_parent_to_part_is_none() {
    let file = |module: &str, text: &str| {
        (module.split("::").map(str::to_owned).collect::<Vec<_>>(), text.to_owned())
    };
    let files = [
        file("a", "mod part;\nuse part::X;\nuse crate::b::{self, Y};"),
        file("a::part", "use super::X;\nuse super::other::Z;"),
        file("a::other", "// use super::part::X;\nfn f() { crate::a::part::g() }"),
        file("b", "use crate::{c::T, d};"),
        file("c", "#[cfg(test)]\nmod tests { use crate::b::Y; }"),
        file("d", "use crate::{\n    a::X,\n};"),
    ];
    let found: Vec<(String, Vec<String>)> = uses(&files)
        .into_iter()
        .flat_map(|(level, uses)| {
            circles(&uses).into_iter().map(move |circle| (level.join("::"), circle))
        })
        .collect();
    let expected = [("", vec!["a", "b", "d"]), ("a", vec!["other", "part"])];
    let expected = expected
        .map(|(level, circle)| (level.to_owned(), circle.into_iter().map(str::to_owned).collect()));
    assert_eq!(found, expected);
}

/// The path of each module of a crate, and its code.
fn files(name: &str) -> Vec<(Vec<String>, String)> {
    let src = Path::new("..").join("crates").join(name).join("src");
    let (mut folders, mut files) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let path = entry.path();
            let is_test = ["tests", "tests.rs", "lib.rs", "main.rs"]
                .iter()
                .any(|name| path.file_name().is_some_and(|file| file == *name));
            if is_test {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = path.strip_prefix(&src).unwrap_or(&path).with_extension("");
                let module = module.iter().map(|part| part.to_string_lossy().into_owned());
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                files.push((module.collect::<Vec<_>>(), text));
            }
        }
    }
    // A file that only tests have is said to be one where it is declared.
    let only_tests: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|(module, text)| {
            text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|rest| {
                let name = rest.split(';').next().filter(|name| !name.contains(['{', ' ']))?;
                Some([&module[..], &[name.to_owned()]].concat())
            })
        })
        .collect();
    files.retain(|(module, _)| !only_tests.contains(module));
    files
}

fn uses(files: &[(Vec<String>, String)]) -> Uses {
    let modules: BTreeSet<&Vec<String>> = files.iter().map(|(module, _)| module).collect();
    let mut uses = Uses::new();
    for (module, text) in files {
        for path in paths(module, text) {
            let shared = module.iter().zip(&path).take_while(|(own, other)| own == other).count();
            let (Some(own), Some(other)) = (module.get(shared), path.get(shared)) else { continue };
            let is_module = modules.contains(&path[..=shared].to_vec());
            if is_module {
                let level = uses.entry(module[..shared].to_vec()).or_default();
                level.entry(own.clone()).or_default().insert(other.clone());
                level.entry(other.clone()).or_default();
            }
        }
    }
    uses
}

/// Every path from `crate::` or `super::` in the code of a module, from the root of its crate.
fn paths(module: &[String], text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (start, root) in [("crate::", 0), ("super::", 1)] {
        for (at, _) in code.match_indices(start) {
            let is_inside = code[..at].ends_with(|c| is_word(c) || c == ':');
            if is_inside {
                continue;
            }
            let (mut ups, mut rest) = (root, &code[at + start.len()..]);
            while let Some(further) = rest.strip_prefix("super::") {
                (ups, rest) = (ups + 1, further);
            }
            let base =
                if root == 0 { &[][..] } else { &module[..module.len().saturating_sub(ups)] };
            grow(base, rest, &mut found);
        }
    }
    found
}

/// Adds the paths that a text begins with: `a::b`, or each of `{a::b, c::{d, e}}`.
fn grow(base: &[String], text: &str, found: &mut Vec<Vec<String>>) {
    if let Some(inside) = text.strip_prefix('{') {
        let (mut depth, mut from) = (0, 0);
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    grow(base, inside[from..at].trim(), found);
                    from = at + 1;
                }
                _ => {}
            }
            if c == '}' && depth == 0 && from == at + 1 {
                return;
            }
        }
        return;
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if word.is_empty() || word == "self" {
        found.push(base.to_vec());
        return;
    }
    let path = [base, std::slice::from_ref(&word)].concat();
    match text[word.len()..].strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || "_{".contains(c)) => {
            grow(&path, rest, found);
        }
        _ => found.push(path),
    }
}

/// Sets of modules that reach each other, each in order.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for other in uses.get(module).into_iter().flatten() {
                if seen.insert(other) {
                    next.push(other);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        uses.keys().map(|module| (module, reached(module))).collect();
    let is_circle = |a: &String, b: &String| {
        let from_a = reached.get(a).is_some_and(|reached| reached.contains(b));
        from_a && reached.get(b).is_some_and(|reached| reached.contains(a))
    };
    let circle = |module: &&String| {
        let members = uses.keys().filter(|other| is_circle(module, other));
        members.cloned().collect::<Vec<String>>()
    };
    let found: BTreeSet<Vec<String>> =
        uses.keys().map(|module| circle(&module)).filter(|circle| circle.len() > 1).collect();
    found.into_iter().collect()
}
