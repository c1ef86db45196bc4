//! `tieline completions`: each script knows the commands, and bash completes with its own. `tieline man`: each command
//! has its page.

use crate::common::{run, shell, stderr, stdout};
use tests::folder::Folder;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for name in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", name], b"");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for command in ["healthcheck", "calibrate", "requests-max"] {
            assert!(stdout(&output).contains(command), "{name}: {command}");
        }
    }
    assert_eq!(run(&["completions", "dos"], b"").status.code(), Some(2));
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = Folder::new();
    let script = folder.file("tieline.bash", run(&["completions", "bash"], b"").stdout);
    let completed = |words: &str, number: usize| {
        let line = format!(
            "source {script}; COMP_WORDS=({words}); COMP_CWORD={number}; \
             _tieline tieline \"${{COMP_WORDS[{number}]}}\" \"${{COMP_WORDS[{number}-1]}}\"; \
             echo ${{COMPREPLY[@]}}"
        );
        let output = shell(&format!("bash --norc -c '{line}'"));
        assert_eq!(stderr(&output), "");
        stdout(&output).trim().to_owned()
    };
    assert_eq!(completed("tieline hea", 1), "healthcheck");
    assert_eq!(completed("tieline config ch", 2), "check");
    assert_eq!(completed("tieline serve --conf", 2), "--config");
}

#[test]
fn every_command_has_a_manual_page_with_its_flags() {
    let page = |arguments: &[&str]| {
        let output = run(&[&["man"], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(page(&[]).contains(".TH tieline 1") && page(&[]).contains("healthcheck"));
    let check = page(&["config", "check"]);
    assert!(
        check.contains("tieline\\-config\\-check") || check.contains("config check"),
        "{check}"
    );
    assert!(check.contains("TIELINE_CONFIG") && check.contains("78"), "{check}");
    assert_eq!(run(&["man", "nothing"], b"").status.code(), Some(2));
    let folder = Folder::new();
    let out = folder.name("man1");
    let output = run(&["man", "--out", &out], b"");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for name in ["tieline.1", "tieline-serve.1", "tieline-config-init.1"] {
        let text = std::fs::read_to_string(format!("{out}/{name}")).unwrap_or_default();
        assert!(text.contains(".SH SYNOPSIS"), "{name}");
    }
}
