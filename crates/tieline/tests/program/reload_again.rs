//! A refused configuration is tried again when a file that it names arrives or can be read: a rollout
//! may bring the configuration before the key.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::common::process::{Gateway, Process};
use crate::common::{eventually, metric, tieline, vendor};
use tests::folder::Folder;
use tests::plain::get;
use tests::{V1_USERS, V4_KEY, config};

/// A configuration for one caller, named like its key.
fn text(vendor: &str, caller: &str, v4_key: &str, server: &str, upstream: &str) -> String {
    let legacy = config::digest(&format!("{caller}-key"));
    config::ports(server)
        + &config::voiso("ams", vendor, upstream)
        + &config::caller(caller, "ams", &legacy, &config::file(v4_key), "")
}

fn status(gateway: &Gateway, caller: &str) -> u16 {
    get(gateway.address, V1_USERS, &format!("{caller}-key")).status.as_u16()
}

/// Waits for the next refusal, and checks that it names this setting and changed nothing.
fn refused(gateway: &Gateway, setting: &str) {
    let lines = gateway.process.stderr_until(|line| line.contains("was not reloaded"));
    let line = lines.last().unwrap();
    assert!(line.contains(setting), "{setting}: {line}");
    assert_eq!((status(gateway, "old"), status(gateway, "new")), (200, 401), "{setting}");
}

/// Waits until the new configuration is in force, without a signal.
fn in_force(gateway: &Gateway) {
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
    eventually("in force", || (status(gateway, "old"), status(gateway, "new")) == (401, 200));
}

#[test]
fn k06_a_refused_configuration_is_tried_again_when_a_file_that_it_names_arrives() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let key = folder.file("v4.key", V4_KEY);
    folder.certificate("made");
    let of = |name: &str| std::fs::read(folder.path(name)).unwrap();
    let (cert, tls_key) = (of("made.pem"), of("made.key"));
    let old = text(&vendor, "old", &key, "", "");
    for (setting, missing, content, new) in [
        ("upstream_key", "late.key", V4_KEY.as_bytes(), text(&vendor, "new", "late.key", "", "")),
        (
            "upstream.ams.ca_file",
            "late.pem",
            &cert,
            text(&vendor, "new", &key, "", "ca_file = \"late.pem\""),
        ),
        (
            "upstream.ams.id_map",
            "late.csv",
            b"a,1\n",
            text(&vendor, "new", &key, "", "id_policy = \"map\"\nid_map = \"late.csv\""),
        ),
        (
            "shadow.ca_file",
            "late-control.pem",
            &cert,
            text(&vendor, "new", &key, "", "")
                + &format!("[shadow]\ncontrol = \"{vendor}\"\nca_file = \"late-control.pem\"\n"),
        ),
    ] {
        folder.file("t.toml", &old);
        let gateway = Gateway::start(&folder.name("t.toml"));
        folder.replace("t.toml", new);
        refused(&gateway, setting);
        folder.file(missing, content);
        in_force(&gateway);
        assert!(metric(gateway.admin, "tieline_config_reload_total", "\"refused\"") >= 1.0);
    }

    // With TLS from the start: the new certificate comes before its key.
    let shown = folder.certificate("shown").server_line();
    folder.file("t.toml", text(&vendor, "old", &key, &shown, ""));
    let gateway = Gateway::start(&folder.name("t.toml"));
    let line = config::tls(folder.path("new.pem"), folder.path("new.key"));
    folder.replace("t.toml", text(&vendor, "new", &key, &line, ""));
    let is_refused = |line: &str| line.contains("was not reloaded") && line.contains("server.tls");
    gateway.process.stderr_until(is_refused);
    folder.file("new.pem", &cert);
    gateway.process.stderr_until(is_refused);
    folder.file("new.key", &tls_key);
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
}

#[test]
fn k06_files_that_arrive_one_by_one_are_each_waited_for() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let key = folder.file("v4.key", V4_KEY);
    folder.certificate("made");
    let gateway = Gateway::start(&folder.file("t.toml", text(&vendor, "old", &key, "", "")));
    // A mistake in the text is told first; the names behind it count once it is mended.
    let new = text(&vendor, "new", "late.key", "", "ca_file = \"late.pem\"");
    folder.replace("t.toml", new.replace("dialect", "dialekt"));
    refused(&gateway, "dialekt");
    folder.replace("t.toml", &new);
    refused(&gateway, "upstream.ams.ca_file");
    std::fs::rename(folder.path("made.pem"), folder.path("late.pem")).unwrap();
    refused(&gateway, "upstream_key");
    folder.file("late.key", "");
    refused(&gateway, "upstream_key");
    folder.file("late.key", V4_KEY);
    in_force(&gateway);

    // The file itself may be away for a while, too.
    std::fs::remove_file(folder.path("t.toml")).unwrap();
    gateway.process.stderr_until(|line| line.contains("was not reloaded"));
    folder.replace("t.toml", text(&vendor, "newest", &key, "", ""));
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
    assert_eq!((status(&gateway, "new"), status(&gateway, "newest")), (401, 200));
}

#[test]
fn k06_a_refused_configuration_is_tried_again_when_a_folder_for_its_output_is_made() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let key = folder.file("v4.key", V4_KEY);
    for (told, made, rest) in [
        (
            "shadow.report_file",
            "reports",
            format!("[shadow]\ncontrol = \"{vendor}\"\nreport_file = \"reports/shadow.json\"\n"),
        ),
        ("roster.file", "state", "[roster]\nfile = \"state/roster.db\"\n".to_owned()),
    ] {
        folder.file("t.toml", text(&vendor, "old", &key, "", ""));
        let gateway = Gateway::start(&folder.name("t.toml"));
        folder.replace("t.toml", text(&vendor, "new", &key, "", "") + &rest);
        refused(&gateway, told);
        std::fs::create_dir(folder.path(made)).unwrap();
        in_force(&gateway);
    }
}

#[test]
fn k06_a_refused_configuration_is_tried_again_when_rights_are_put_right() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let key = folder.file("v4.key", V4_KEY);
    let allow = |name: &str, mode| {
        std::fs::set_permissions(folder.path(name), Permissions::from_mode(mode)).unwrap();
    };
    let file = folder.file("t.toml", text(&vendor, "old", &key, "", ""));
    let gateway = Gateway::of(under_rights(&["serve", "--config", &file, "--log-format", "json"]));
    folder.file("late.key", V4_KEY);
    allow("late.key", 0);
    folder.replace("t.toml", text(&vendor, "new", "late.key", "", ""));
    refused(&gateway, "late.key cannot be read: permission denied");
    allow("late.key", 0o600);
    in_force(&gateway);

    // The same for the folder of the key, and for the configuration itself.
    folder.replace("t.toml", text(&vendor, "old", &key, "", ""));
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
    std::fs::create_dir(folder.path("keys")).unwrap();
    folder.file("keys/late.key", V4_KEY);
    allow("keys", 0);
    folder.replace("t.toml", text(&vendor, "new", "keys/late.key", "", ""));
    refused(&gateway, "upstream_key");
    allow("keys", 0o700);
    in_force(&gateway);
    allow("t.toml", 0);
    gateway.process.stderr_until(|line| line.contains("t.toml: cannot be read"));
    allow("t.toml", 0o600);
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
}

/// Starts the program as somebody whom the rights of files stop. Root is such a user only without the
/// capabilities that let it pass.
fn under_rights(arguments: &[&str]) -> Process {
    let program = tieline(arguments);
    let is_root =
        std::fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it));
    if is_root.unwrap() != 0 {
        return Process::spawn(program);
    }
    let mut command = std::process::Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(program.get_program());
    command.args(program.get_args()).env_remove("TIELINE_LOG").env_remove("RUST_LOG");
    Process::spawn(command)
}
