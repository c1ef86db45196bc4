//! Pages that have not changed since they were last read: the upstream is asked whether they have, by the tag it
//! gave them, and their rows are given again. Whatever it says, the list is what a reading without tags would give.

use std::time::Duration;

use serde_json::Value;
use simulator::{At, Faults, Settings, Tags};
use tests::folder::File;
use tests::raw::{Raw, Reply};
use tests::vonage::{expected, mapped_world, plain};
use tests::{
    BEARER, DELETED, Front, TEAMS, V1_USERS, V3_USERS, V4_KEY, World, config, config_text,
    eventually, expect, failing, parsed, users,
};

fn tagged(count: usize) -> Settings {
    Settings { tags: Tags::Weak, ..users(count) }
}

/// How many pages came whole, and how many had not changed, since the last look.
fn statuses(world: &World) -> (u64, u64) {
    let stats = world.vendor.stats();
    world.vendor.reset_stats();
    let of = |status| stats.statuses.get(&status).copied().unwrap_or(0);
    (of(200), of(304))
}

/// Asks, and holds the answer to what the vendor's own legacy API says now.
#[track_caller]
fn is_right(world: &World, answer: &tests::Answer) {
    assert_eq!(answer.status, 200, "{}", answer.verdict());
    assert!(answer.text() == world.vendor.legacy_body(&[]), "another list than the legacy API has");
}

#[tokio::test]
async fn an_unchanged_list_is_the_same_answer_and_no_page_of_it_comes_again() {
    for tags in [Tags::Weak, Tags::Strong] {
        let world = World::new(Settings { tags, ..users(950) }).await;
        for target in [
            V1_USERS.to_owned(),
            V3_USERS.to_owned(),
            TEAMS.to_owned(),
            format!("{V1_USERS}?timezone=London"),
            format!("{V1_USERS}?name=Nobody"),
        ] {
            let first = world.get(&target).await;
            let (pages, _) = statuses(&world);
            for _ in 0..2 {
                let again = world.get(&target).await;
                assert_eq!(
                    (again.status.as_u16(), again.header("x-tieline-cache")),
                    (200, "".into())
                );
                assert!(again.body == first.body && again.header("etag") == first.header("etag"));
                // Each list of teams that the vendor lacks says so in 21 bytes.
                assert!(world.vendor.stats().body_bytes <= 42, "{target}");
                assert_eq!(statuses(&world), (0, pages), "{target}");
            }
        }
    }
}

#[tokio::test]
async fn explain_and_metrics_count_the_pages_that_have_not_changed() {
    let world = World::new(tagged(950)).await;
    let explained = async || {
        let headers = [BEARER, ("x-tieline-explain", "1")];
        let answer = world.front.get_with(V1_USERS, &headers).await;
        let told: Value = serde_json::from_str(&answer.header("x-tieline-explanation")).unwrap();
        (told["pages"].as_u64(), told["pages_unchanged"].as_u64())
    };
    let (pages, unchanged) = explained().await;
    assert_eq!(unchanged, Some(0));
    assert_eq!(explained().await, (pages, pages));
    let id = world.live()[500];
    world.vendor.rename_user(id, "Somebody Else");
    assert_eq!(explained().await, (pages, pages.map(|pages| pages - 1)));
    let count = async |event: &str| {
        world.front.count(&format!("tieline_list_events_total{{event=\"{event}\"}}")).await
    };
    let pages = pages.unwrap();
    assert_eq!(count("page").await, 3 * pages);
    assert_eq!(count("page_unchanged").await, 2 * pages - 1);
    assert_eq!(count("page_changed").await, 1);
    let of_304 = "tieline_upstream_requests_total{outcome=\"304\",upstream=\"ams\"}";
    assert_eq!(world.front.count(of_304).await, 2 * pages - 1);
}

#[tokio::test]
async fn of_a_list_that_has_changed_only_the_changed_pages_come() {
    let world = World::new(tagged(950)).await;
    is_right(&world, &world.get(V1_USERS).await);
    let (pages, _) = statuses(&world);
    let ids = world.live();
    // One user is another one now.
    world.vendor.rename_user(ids[430], "Somebody Else");
    is_right(&world, &world.get(V1_USERS).await);
    assert_eq!(statuses(&world), (1, pages - 1));
    // Two users change places with two others: their pages differ, the count does not.
    for (gone, name) in [(ids[430], "New One"), (ids[431], "New Two")] {
        assert!(world.vendor.delete_user(gone));
        world.vendor.insert_user(name);
    }
    is_right(&world, &world.get(V1_USERS).await);
    let (whole, unchanged) = statuses(&world);
    assert_eq!((whole + unchanged, unchanged), (pages, 4), "those in front of what was deleted");
    // Every page tells the count, so every page has changed.
    assert!(world.vendor.delete_user(ids[100]));
    is_right(&world, &world.get(V1_USERS).await);
    assert_eq!(statuses(&world), (pages, 0));
    world.vendor.insert_user("New Three");
    is_right(&world, &world.get(V1_USERS).await);
    assert_eq!(statuses(&world), (pages, 0));
    is_right(&world, &world.get(V1_USERS).await);
    assert_eq!(statuses(&world), (0, pages));
}

#[tokio::test]
async fn a_page_whose_tag_lies_is_found_out_by_the_seams() {
    let world = World::new(Settings { users: 950, ..tagged(0) }).await;
    // The tag of this page stays the same from the start.
    let only_at = Some(At { offset: 297, times: None });
    world.vendor.set_faults(Faults { only_at, tag_lies: true, ..Faults::default() });
    is_right(&world, &world.get(V1_USERS).await);
    let (pages, _) = statuses(&world);
    // The rows behind the first page move up by many.
    let ids = world.live();
    for id in &ids[20..60] {
        assert!(world.vendor.delete_user(*id));
    }
    is_right(&world, &world.get(V1_USERS).await);
    let (whole, unchanged) = statuses(&world);
    assert_eq!(unchanged, 1, "the page that lies");
    assert!(whole >= 2 * pages - 2, "all of it was read anew: {whole} pages");
}

#[tokio::test]
async fn a_tag_is_believed_no_longer_than_revalidate_max() {
    let world = World::with(tagged(350), "", "[cache]\nrevalidate_max = \"1s\"").await;
    world.vendor.set_faults(Faults { tag_lies: true, ..Faults::default() });
    is_right(&world, &world.get(V1_USERS).await);
    world.vendor.rename_user(world.live()[200], "Somebody Else");
    eventually("the page is read", async || {
        world.get(V1_USERS).await.text() == world.vendor.legacy_body(&[])
    })
    .await;
    // With the default, the upstream's word counts for minutes.
    let world = World::new(tagged(350)).await;
    world.vendor.set_faults(Faults { tag_lies: true, ..Faults::default() });
    let before = world.get(V1_USERS).await;
    world.vendor.rename_user(world.live()[200], "Somebody Else");
    assert!(world.get(V1_USERS).await.body == before.body);
}

#[tokio::test]
async fn a_refusal_forgets_every_kept_page() {
    for (status, verdict) in [(401, "502 mapped_key_refused"), (403, "502 upstream_forbidden")] {
        let world = World::with(tagged(350), "attempts_max = 1", "").await;
        world.get(V1_USERS).await;
        let (pages, _) = statuses(&world);
        world.vendor.set_faults(failing(status));
        expect::error(&world.get(V1_USERS).await, verdict, "refused");
        world.vendor.set_faults(Faults::default());
        expect::error(&world.get(V1_USERS).await, verdict, "believed for a while");
        tokio::time::sleep(Duration::from_millis(5_050)).await;
        statuses(&world);
        is_right(&world, &world.get(V1_USERS).await);
        assert_eq!(statuses(&world), (pages, 0));
        world.get(V1_USERS).await;
        assert_eq!(statuses(&world), (0, pages));
    }
}

#[tokio::test]
async fn no_caller_has_pages_of_another_one_or_of_another_configuration() {
    let sees = "{ groups = [\"Agent\"] }";
    let rest = config::another("wall", "second-key", sees);
    let world = World::with(tagged(350), "", &rest).await;
    let first = world.get(V1_USERS).await;
    let (pages, _) = statuses(&world);
    for round in 0..2 {
        let narrowed = world.front.get_as("second-key", V1_USERS).await;
        let (whole, unchanged) = statuses(&world);
        assert_eq!(if round == 0 { (whole, unchanged) } else { (unchanged, whole) }, (pages, 0));
        let all = narrowed.json();
        let records = all.as_array().unwrap();
        assert!(!records.is_empty() && records.len() < 350, "{}", records.len());
        assert!(records.iter().all(|record| record["sag"] == "Agent"));
    }
    assert!(world.get(V1_USERS).await.body == first.body);
    assert_eq!(statuses(&world), (0, pages));
    let text = config_text(world.vendor_address, "", &rest);
    let again = parsed(&text, &[("V4", V4_KEY)]).unwrap();
    world.front.running.reloader().reload(again).unwrap();
    assert!(world.get(V1_USERS).await.body == first.body);
    assert_eq!(statuses(&world), (pages, 0));
}

#[tokio::test]
async fn pages_are_kept_only_where_the_configuration_says_so_and_there_is_room() {
    for (cache, is_kept) in [
        ("", true),
        ("revalidate = true\nfresh_for = \"1ms\"", true),
        ("stale_if_error = \"1h\"", true),
        ("revalidate = false", false),
        ("revalidate_max = \"0s\"", false),
        ("fresh_for = \"1ms\"", false),
    ] {
        let world = World::with(tagged(350), "", &format!("[cache]\n{cache}")).await;
        is_right(&world, &world.get(V1_USERS).await);
        let (pages, _) = statuses(&world);
        tokio::time::sleep(Duration::from_millis(5)).await;
        is_right(&world, &world.get(V1_USERS).await);
        let expected = if is_kept { (0, pages) } else { (pages, 0) };
        assert_eq!(statuses(&world), expected, "{cache}");
    }
    // Room for a part of the pages.
    let world = World::with(tagged(2_000), "", "[cache]\nbytes_max = \"512KiB\"").await;
    world.get(V1_USERS).await;
    let (pages, _) = statuses(&world);
    for _ in 0..3 {
        is_right(&world, &world.get(V1_USERS).await);
        let (whole, unchanged) = statuses(&world);
        assert_eq!(whole + unchanged, pages);
        assert!(whole > 0, "all {pages} pages were kept");
    }
}

#[tokio::test]
async fn an_upstream_may_begin_and_stop_to_send_tags() {
    let world = World::new(users(350)).await;
    is_right(&world, &world.get(V1_USERS).await);
    let (pages, _) = statuses(&world);
    for (tags, unchanged) in [
        (Tags::Weak, false),
        (Tags::Weak, true),
        (Tags::None, false),
        // What was kept is gone, since it had no tag any more.
        (Tags::Weak, false),
        (Tags::Weak, true),
        // The comparison is the weak one.
        (Tags::Strong, true),
    ] {
        world.vendor.set_tags(tags);
        is_right(&world, &world.get(V1_USERS).await);
        let expected = if unchanged { (0, pages) } else { (pages, 0) };
        assert_eq!(statuses(&world), expected, "{tags:?}");
    }
}

#[tokio::test]
async fn a_304_that_was_not_asked_for_is_an_error() {
    let upstream =
        Raw::start(|_| Reply::bytes("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n")).await;
    let front = Front::over(upstream.address, "", "").await;
    for _ in 0..2 {
        expect::error(&front.get(V1_USERS).await, "502 upstream_refused_call", "a 304");
    }
    assert!(upstream.heads().iter().all(|head| head.headers("if-none-match").is_empty()));
}

#[tokio::test]
async fn a_tag_goes_back_as_it_came_and_a_304_leaves_its_connection_usable() {
    let ids: Vec<u64> = (1..=60).collect();
    let script = move |head: &tests::wire::Head| {
        if head.headers("if-none-match").is_empty() {
            let page = Reply::page_of(&ids, head);
            let text = String::from_utf8_lossy(page.as_ref()).into_owned();
            return Reply::bytes(text.replacen("\r\n", "\r\netag: W/\"a,b-c\"\r\n", 1));
        }
        // The length is that of the page, which does not come.
        Reply::bytes(
            "HTTP/1.1 304 Not Modified\r\netag: W/\"a,b-c\"\r\ncontent-length: 9000\r\n\r\n",
        )
    };
    let upstream = Raw::start(script).await;
    let front = Front::over(upstream.address, "", "").await;
    let first = front.get(V1_USERS).await;
    assert_eq!(first.ids().len(), 60);
    for _ in 0..3 {
        assert!(front.get(V1_USERS).await.body == first.body);
    }
    let heads = upstream.heads();
    let tags: Vec<_> = heads.iter().map(|head| head.headers("if-none-match")).collect();
    assert_eq!(tags, [vec![], vec!["W/\"a,b-c\""], vec!["W/\"a,b-c\""], vec!["W/\"a,b-c\""]]);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn lists_whose_count_is_always_wrong_are_not_read_twice_each_time() {
    let ids: Vec<u64> = (1..=250).collect();
    let script = move |head: &tests::wire::Head| {
        let tag = format!("\"{}\"", head.number_of("offset"));
        if head.headers("if-none-match").contains(&tag.as_str()) {
            return Reply::bytes(format!("HTTP/1.1 304 Not Modified\r\netag: {tag}\r\n\r\n"));
        }
        let page = Reply::page_of(&ids, head);
        let text = String::from_utf8_lossy(page.as_ref()).into_owned();
        let text = text.replace("\"total\":250", "\"total\":251");
        Reply::bytes(text.replacen("\r\n", &format!("\r\netag: {tag}\r\n"), 1))
    };
    let upstream = Raw::start(script).await;
    let front = Front::over(upstream.address, "", "").await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        let before = upstream.heads().len();
        assert_eq!(front.get(V1_USERS).await.ids().len(), 250);
        let heads = upstream.heads().split_off(before);
        let of_tags = heads.iter().filter(|head| !head.headers("if-none-match").is_empty());
        asked.push((heads.len(), of_tags.count()));
    }
    let (plain, doubted) = (asked[0], asked[1]);
    assert!(
        doubted.1 > 0 && doubted.0 > plain.0,
        "the first doubt costs a second reading: {asked:?}"
    );
    assert_eq!(asked[2..], [plain, plain], "no tag is believed for a while");
}

#[tokio::test]
async fn a_page_that_fails_behind_unchanged_ones_is_told_at_once() {
    let world = World::with(tagged(950), "attempts_max = 1", "").await;
    is_right(&world, &world.get(V1_USERS).await);
    statuses(&world);
    world
        .vendor
        .set_faults(Faults { only_at: Some(At { offset: 495, times: None }), ..failing(500) });
    expect::error(&world.get(V1_USERS).await, "502 upstream_5xx", "a page that fails");
    let (whole, _) = statuses(&world);
    assert_eq!(whole, 0, "no page is read anew for it");
}

#[tokio::test]
async fn an_unchanged_page_shows_what_is_joined_to_it_now() {
    let world =
        mapped_world(tagged(250), "related_fresh_for = \"1s\"\nrelated_stale_max = \"1s\"", "")
            .await;
    let records = async || {
        let all = world.get(V1_USERS).await.json();
        let plain = all.as_array().unwrap().iter().cloned().map(plain);
        plain.map(|record| (record["id"].as_u64().unwrap(), record)).collect()
    };
    assert!(expected(&world.vendor) == records().await);
    statuses(&world);
    assert!(expected(&world.vendor) == records().await);
    let (_, unchanged) = statuses(&world);
    assert!(unchanged > 0);
    // Skills are not in the users' rows, so their pages keep their tags.
    let skilled = world.vendor.records().iter().find(|user| user.skills.len() > 1).unwrap().id;
    assert!(world.vendor.edit_user(skilled, |user| user.skills.truncate(1)));
    eventually("the skills are those of now", async || expected(&world.vendor) == records().await)
        .await;
}

#[tokio::test]
async fn users_who_vanish_from_an_unchanged_list_are_deleted_agents() {
    let file = File::new("roster.sqlite");
    let roster = format!("[roster]\nfile = {:?}", file.display().to_string());
    let world = World::with(tagged(250), "", &roster).await;
    let before = world.get(DELETED).await.ids();
    assert_eq!(world.get(V1_USERS).await.ids(), world.live());
    statuses(&world);
    let gone: Vec<u64> = world.live().into_iter().step_by(50).collect();
    for id in &gone {
        assert!(world.vendor.delete_user(*id));
    }
    assert_eq!(world.get(DELETED).await.ids(), before);
    let (pages, _) = statuses(&world);
    // The second reading counts, although no page of it has changed.
    let after = world.get(DELETED).await.ids();
    assert_eq!(statuses(&world), (0, pages));
    let expected: Vec<u64> = before.into_iter().chain(gone).collect();
    assert_eq!(after, expected);
}
