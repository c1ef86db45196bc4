//! Agents' status, with the key in the path: the vendor's own legacy bytes over the same data.

use http::Method;
use tests::{BEARER, Front, LEGACY_KEY, World, config_text, expect, send, users};

fn target(key: &str) -> String {
    format!("/api/v1/{key}/agents_status")
}

#[tokio::test]
async fn agents_status_is_the_legacy_bytes_in_every_spelling() {
    for size in [0, 1, 100, 350] {
        let world = World::new(users(size)).await;
        let escaped = LEGACY_KEY.replace('d', "%64");
        for path in [
            target(LEGACY_KEY),
            format!("{}.json", target(LEGACY_KEY)),
            format!("/{}/", target(LEGACY_KEY)),
            target(&escaped),
        ] {
            let ours = world.front.get_with(&path, &[]).await;
            let client = tests::client();
            let theirs = send(&client, world.vendor_address, Method::GET, &path, &[]).await;
            assert_eq!((ours.status.as_u16(), theirs.status.as_u16()), (200, 200));
            assert_eq!(ours.text(), theirs.text());
            let rows = ours.json().as_array().unwrap().len();
            assert_eq!(rows, world.vendor.legacy_users(&[]).len());
        }
    }
}

#[tokio::test]
async fn many_who_poll_share_one_sweep_and_the_next_second_has_another() {
    let world = World::new(users(350)).await;
    let path = target(LEGACY_KEY);
    let one = world.front.get_with(&path, &[]).await;
    let pages = world.vendor.stats().users_pages;
    let all = (0..20).map(|_| world.front.get_with(&path, &[]));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.body, one.body);
        assert_eq!(answer.header("x-tieline-cache"), "hit");
    }
    assert_eq!(world.vendor.stats().users_pages, pages);
    // A list of another endpoint is asked for as ever.
    world.get(tests::V1_USERS).await;
    world.get(tests::V1_USERS).await;
    assert!(world.vendor.stats().users_pages >= 3 * pages);
    let user = &world.vendor.records()[0];
    world.vendor.edit_user(user.id, |user| {
        user.status = Some("Lunch".into());
        user.deleted_at = None;
    });
    tests::eventually("the new status is shown", async || {
        world.front.get_with(&path, &[]).await.text().contains("\"lunch\"")
    })
    .await;
    let note =
        "tieline_fidelity_notes_total{endpoint=\"v1_agents_status\",note=\"status_unmapped\"}";
    assert!(world.front.count(note).await >= 1);
}

#[tokio::test]
async fn without_freshness_every_question_is_a_sweep() {
    let rest = "[legacy.v1_agents_status]\nfresh_for = \"0s\"\nstyle = \"title\"";
    let world = World::with(users(50), "", rest).await;
    for asked in 1..=3 {
        let answer = world.front.get_with(&target(LEGACY_KEY), &[]).await;
        assert!(answer.text().contains("\"Available\""));
        assert_eq!(world.vendor.stats().users_pages, asked);
    }
}

#[tokio::test]
async fn the_key_in_the_path_is_the_only_one() {
    let world = World::new(users(5)).await;
    let answer = world.front.get_with(&target("nobodys-key"), &[]).await;
    expect::shape(&answer, "403 unknown_credential", "a wrong key");
    assert_eq!(answer.text(), "{\"error\":\"Invalid api_key\"}");
    for (path, headers) in [
        (target(LEGACY_KEY), &[BEARER][..]),
        (format!("{}?key={LEGACY_KEY}", target(LEGACY_KEY)), &[]),
        (format!("{}?KEY=x", target(LEGACY_KEY)), &[]),
    ] {
        let answer = world.front.get_with(&path, headers).await;
        expect::error(&answer, "400 ambiguous_credential", &path);
    }
    let basic = [("authorization", "Basic bm9ib2R5")];
    assert_eq!(world.front.get_with(&target(LEGACY_KEY), &basic).await.status, 200);
    for path in ["/api/v1/agents_status", "/api/v1//agents_status"] {
        assert_eq!(world.front.get_with(path, &[]).await.verdict(), "404 not_found", "{path}");
    }
    for method in [Method::POST, Method::OPTIONS] {
        let answer = world.front.send(method, &target(LEGACY_KEY), &[]).await;
        expect::error(&answer, "405 method_not_allowed", "another method");
    }
}

#[tokio::test]
async fn a_narrowed_caller_sees_the_status_of_its_users_alone() {
    let (vendor, address, _guard) = tests::vendor(users(200)).await;
    let config = config_text(address, "", "").replace("\"everything\"", "{ groups = [\"Agent\"] }");
    let front = Front::start(&config).await;
    let shown = front.get_with(&target(LEGACY_KEY), &[]).await.json();
    let agents = vendor.legacy_users(&[("sag".to_owned(), "Agent".to_owned())]);
    let emails = |list: &[serde_json::Value]| -> Vec<String> {
        list.iter().map(|one| one["email"].to_string()).collect()
    };
    assert_eq!(emails(shown.as_array().unwrap()), emails(&agents));
    assert!(!agents.is_empty());
}

#[tokio::test]
async fn a_failing_page_fails_the_whole_list() {
    let mut settings = users(350);
    settings.faults = tests::failing(500);
    let world = World::with(settings, "attempts_max = 1", "").await;
    let answer = world.front.get_with(&target(LEGACY_KEY), &[]).await;
    expect::error(&answer, "502 upstream_5xx", "a failing page");
}
