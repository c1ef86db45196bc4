//! What the check says of the list of teams, and the log of a request for it.

use super::*;
use crate::common::configured;
use crate::common::process::Gateway;

#[test]
fn teams_that_only_a_list_may_tell_need_the_list() {
    let world = World::voiso("");
    let reason = "the list of teams: the upstream has no such list (upstream_refused_call)";
    let checked = world.check("teams_from = \"list\"", EVERYTHING).failed(reason);
    assert!(checked.lines("teams").is_empty());
    assert_eq!(world.check("teams_from = \"auto\"", EVERYTHING).good().line("teams"), NO_LIST);
    // Over Vonage the list is documented, so without it nothing is answered.
    let world = World::vonage("--fail 404 --only-under /useradmin/groups");
    for from in ["list", "auto", "users"] {
        let checked = world.check(&format!("teams_from = \"{from}\""), EVERYTHING);
        checked.failed("the upstream refused a call with 404 (upstream_refused_call)");
    }
}

#[test]
fn d19_a_list_of_teams_that_the_key_may_not_read_fails_and_the_scope_is_named() {
    let world = World::voiso("--teams-list");
    let teams = world.legacy(TEAMS).len();
    let checked = world.check("", EVERYTHING).good();
    assert_eq!(checked.line("v4 key"), "accepted, scopes users.read and users.teams.read");
    assert_eq!(checked.line("teams"), format!("{teams}, from the upstream's list"));
    for places in ["users", "alone"] {
        let flags = format!("--teams-list --teams-at {places} --keys-without-teams *");
        let world = World::voiso(&flags);
        let lacks = format!("the list of teams: {MAY_NOT} users.teams.read (upstream_forbidden)");
        for from in ["auto", "list"] {
            let from = format!("teams_from = \"{from}\"");
            let checked = world.check(&from, EVERYTHING).failed(&lacks);
            // Users are listed all the same.
            assert_eq!(checked.line("v4 key"), "accepted, scope users.read");
            assert!(checked.line("users").starts_with(&world.counts().0.to_string()));
            assert!(checked.lines("teams").is_empty(), "{}", checked.report);
        }
        let checked = world.check("teams_from = \"users\"", EVERYTHING).good();
        assert_eq!(checked.line("teams"), "from the users (setting teams_from)");
    }
}

#[test]
fn a_path_of_the_list_of_teams_is_the_only_one_and_must_be_there() {
    let world = World::voiso("--teams-list --teams-at users");
    let pinned = |path: &str| world.check(&format!("teams_path = \"{path}\""), EVERYTHING);
    assert!(pinned("/api/v4/users/teams").good().line("teams").ends_with("the upstream's list"));
    let reason = "the list of teams: the upstream has no such list (upstream_refused_call)";
    pinned("/api/v4/teams").failed(reason);
}

#[test]
fn d19_the_log_names_the_scope_that_a_list_of_teams_lacks() {
    let (_running, base) = vendor("--teams-list --keys-without-teams *");
    let folder = Folder::new();
    folder.file("v4.key", V4_KEY);
    let file = folder.file("tieline.toml", configured("", &base, "", ""));
    let gateway = Gateway::start(&file);
    let answer = get(gateway.address, TEAMS, LEGACY_KEY);
    assert_eq!(answer.verdict(), "502 upstream_forbidden");
    assert!(!answer.text().contains("users.teams.read"), "{}", answer.text());
    let lines = gateway.process.stderr_until(|line| line.contains("request failed"));
    let line = lines.last().unwrap();
    assert!(line.contains("upstream_forbidden"), "{line}");
    assert!(line.contains("add the scope users.teams.read"), "{line}");
    assert_eq!(get(gateway.address, V1_USERS, LEGACY_KEY).status, 200);
}
