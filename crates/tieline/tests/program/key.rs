//! `tieline key`.

use crate::common::{run, stderr, stdout};
use tests::config;

#[test]
fn the_digest_of_a_key_is_its_sha256() {
    // The first test vector of FIPS 180-2.
    let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    for input in ["abc", "abc\n", "abc\r\n"] {
        let output = run(&["key", "digest"], input.as_bytes());
        assert!(output.status.success(), "{input:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), expected, "{input:?}");
        assert_eq!(stdout(&output).trim_end(), settings::key_digest("abc"));
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn a_key_of_a_variable_or_a_file_has_the_same_digest() {
    let folder = tests::folder::Folder::new();
    let file = folder.file("legacy.key", "abc\n");
    for place in ["env:DIGEST_OF", &format!("file:{file}")] {
        let mut command = crate::common::tieline(&["key", "digest", place]);
        let output = command.env("DIGEST_OF", "abc").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stdout(&output).trim_end(), settings::key_digest("abc"));
    }
    for place in ["env:NOT_SET_ANYWHERE", "file:no-such-file"] {
        let output = run(&["key", "digest", place], b"");
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
    }
}

#[test]
fn input_that_cannot_be_a_key_is_refused_and_not_repeated() {
    let too_long = "x".repeat(9_000);
    let inputs: &[&[u8]] = &[
        b"",
        b"\n",
        b"\r\n",
        b"hushhush\n\n",
        b"hush hush",
        b"hushhush ",
        b"\thushhush",
        b"hush\0hush",
        b"hush\xc2\xa0hush",
        b"hush\xffhush",
        "\u{feff}hushhush".as_bytes(),
        "hush\u{200b}hush".as_bytes(),
        "hushhush\u{2060}\n".as_bytes(),
        b"\"hushhush\"",
        b"'hushhush'\n",
        b"Bearer hushhush",
        b"hushhush\nhush2\n",
        b"\xff\xfeh\0u\0s\0h\0",
        too_long.as_bytes(),
    ];
    for input in inputs {
        let output = run(&["key", "digest"], input);
        assert_eq!(output.status.code(), Some(1), "{input:?}");
        assert_eq!(stdout(&output), "");
        let text = stderr(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("error: "), "{text}");
        assert!(text.contains("pass "), "it says what to do: {text}");
        assert!(!text.contains("hush") && !text.contains("xxx"), "{text}");
    }
}

#[test]
fn a_key_as_an_argument_is_refused_and_not_repeated() {
    let output = run(&["key", "digest", "hushhush"], b"");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("standard input") && !text.contains("hush"), "{text}");
}

#[test]
fn a_seal_key_is_one_line_of_32_random_bytes_that_a_configuration_takes() {
    let keys = [(); 2].map(|()| {
        let output = run(&["key", "seal"], b"");
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
        stdout(&output)
    });
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert!(key.len() == 45 && key.ends_with("=\n"), "{key:?}");
        let text = format!(
            "[commons]\nvalkey = [\"valkey://127.0.0.1:1\"]\nreplicas_max = 1\n\
             seal_key = {{ env = \"SEAL\" }}\n{}{}",
            config::voiso("ams", "http://127.0.0.1:1", ""),
            config::caller("crm", "ams", &config::digest("legacy"), &config::env("V4"), ""),
        );
        let env = [("SEAL", key.trim_end()), ("V4", "v4")];
        assert!(tests::parsed(&text, &env).is_ok());
    }
}
