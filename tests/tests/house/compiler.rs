//! The script by which cargo calls the compiler, `.cargo/rustc-wrapper`: a `dist` build gets the profile, and every
//! other one is left as it is.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What cargo may say before and behind the level.
const BEFORE: &[&str] = &["--crate-name", "two words", "", "--cfg", "feature=\"a b\"", "-C"];
const MUSL: &[&str] = &["--target", "x86_64-unknown-linux-musl", "-L", "x"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("")).to_owned()
}

/// What the compiler is called with; `printf` stands for it, which prints a line for each.
fn called_with(arguments: &[&str], record_to: Option<&str>) -> Vec<String> {
    let mut command = Command::new(root().join(".cargo/rustc-wrapper"));
    command.args(["printf", "%s\n"]).args(arguments).env_remove("TIELINE_RECORD_PROFILE");
    if let Some(folder) = record_to {
        command.env("TIELINE_RECORD_PROFILE", folder);
    }
    // As for the crates of a registry, the folder is another one.
    let output = command.current_dir(std::env::temp_dir()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_dist_build_gets_the_profile_of_its_target() {
    for (behind, name) in [(&["-C", "lto=thin"][..], "host"), (MUSL, "musl")] {
        let arguments = [BEFORE, &["opt-level=3"], behind].concat();
        let called = called_with(&arguments, None);
        let (last, first) = called.split_last().unwrap_or((const { &String::new() }, &[]));
        assert_eq!(first, arguments, "the arguments of cargo, unchanged");
        let profile = Path::new(last.strip_prefix("-Cprofile-use=").unwrap_or_default());
        assert!(profile.is_absolute(), "{last}");
        assert!(profile.ends_with(format!("crates/tieline/profile/{name}.profdata")), "{last}");
        assert!(profile.metadata().is_ok_and(|file| file.len() > 100_000), "{last}");
    }
}

/// Functions have other names in another version and with another compiler, so an old profile would fit none of ours.
#[test]
fn the_profiles_were_recorded_with_this_version_and_compiler() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap_or_default();
    let value = |text: String, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
        line.unwrap_or_default().trim_matches(['=', ' ', '"']).to_owned()
    };
    let version = value(read("Cargo.toml"), "version");
    let compiler = value(read("rust-toolchain.toml"), "channel");
    assert!(!version.is_empty() && !compiler.is_empty());
    for name in ["host", "musl"] {
        let recorded = read(&format!("crates/tieline/profile/{name}.txt"));
        let wanted = format!("tieline {version}, rustc {compiler}\n");
        assert_eq!(recorded, wanted, "{name}: run tests/bench/record_profile.py");
    }
}

#[test]
fn a_build_that_records_gets_no_profile() {
    let called = called_with(&["-C", "opt-level=3"], Some("/a folder"));
    assert_eq!(called, ["-C", "opt-level=3", "-Cprofile-generate=/a folder"]);
}

#[test]
fn every_other_build_is_left_as_it_is() {
    for level in ["opt-level=0", "opt-level=1", "opt-level=2", "opt-level=s", "opt-level=30", "x"] {
        let arguments = [BEFORE, &[level], MUSL].concat();
        assert_eq!(called_with(&arguments, None), arguments);
        assert_eq!(called_with(&arguments, Some("/a folder")), arguments);
    }
    // Only `dist` has level 3, in the one manifest that has profiles and in what `.ci/run` adds to it.
    let mut has_level = Vec::new();
    for name in ["Cargo.toml", ".ci/profile.toml"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_default();
        let mut table = "";
        for line in text.lines() {
            if line.starts_with('[') {
                table = line;
            } else if line.replace(' ', "").ends_with("opt-level=3") {
                has_level.push(table.to_owned());
            }
        }
    }
    assert_eq!(has_level, ["[profile.dist]"]);
}
