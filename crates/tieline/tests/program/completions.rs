//! `tieline completions`: each script knows the commands, and bash completes with its own.

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
