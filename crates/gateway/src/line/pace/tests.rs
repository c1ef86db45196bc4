//! Paces of one process and of several, with paused time.

use settings::Config;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn of(commons: Option<&Commons>, more: &str, before: &Known) -> (Vec<Arc<Pace>>, Known) {
    let caller = |name: &str, upstream: &str, key: &str| {
        format!(
            "[[caller]]\nname = \"{name}\"\nlegacy_key = {{ env = \"{name}\" }}\n\
             upstream = \"{upstream}\"\nupstream_key = {{ env = \"{key}\" }}\nsees = \"everything\"\n"
        )
    };
    let upstream = |name: &str| {
        format!(
            "[upstream.{name}]\ndialect = \"voiso-v4\"\nbase_url = \"http://127.0.0.1:9\"\n{more}\n"
        )
    };
    let text = [
        upstream("ams"),
        upstream("fra"),
        caller("A", "ams", "K1"),
        caller("B", "ams", "K2"),
        caller("C", "ams", "K1"),
        caller("D", "fra", "K1"),
    ]
    .concat();
    let env = ["A", "B", "C", "D", "K1", "K2"].map(|name| (name.to_owned(), format!("{name}-key")));
    let config = Config::parse(&text, "t.toml", &env).unwrap();
    let mut paces = Paces::after(before, commons);
    let of = config.callers.iter().filter_map(|caller| {
        paces.of(caller, &caller.upstream, &config.upstreams[&caller.upstream])
    });
    (of.collect(), paces.known())
}

fn pace(commons: Option<&Commons>, more: &str) -> Arc<Pace> {
    of(commons, more, &Known::new()).0.remove(0)
}

/// Whose paces are the same.
fn groups(paces: &[Arc<Pace>]) -> Vec<usize> {
    let first = |pace| paces.iter().position(|other| Arc::ptr_eq(other, pace)).unwrap();
    paces.iter().map(first).collect()
}

#[tokio::test]
async fn callers_share_a_pace_by_upstream_or_by_their_key_there() {
    for commons in [None, Some(Commons::one())] {
        let paces = |more| of(commons.as_ref(), more, &Known::new()).0;
        assert_eq!(groups(&paces("requests_per_minute_max = 60")), [0, 0, 0, 3]);
        let by_key = paces("requests_per_minute_max = 60\npace_by = \"key\"");
        assert_eq!(groups(&by_key), [0, 1, 0, 0]);
        assert!(paces("pace_by = \"key\"").is_empty());
    }
}

#[tokio::test]
async fn a_pace_goes_on_in_the_next_configuration_unless_it_changes() {
    let (before, known) = of(None, "requests_per_minute_max = 60", &Known::new());
    for (more, goes_on) in [
        ("requests_per_minute_max = 60\npace_burst = \"15s\"\nattempts_max = 1", true),
        ("requests_per_minute_max = 61", false),
        ("requests_per_minute_max = 60\npace_burst = \"1s\"", false),
        ("requests_per_minute_max = 60\npace_counts = \"every_minute\"", false),
        ("requests_per_minute_max = 60\npace_by = \"key\"", false),
    ] {
        let after = of(None, more, &known).0;
        assert_eq!(Arc::ptr_eq(&before[0], &after[0]), goes_on, "{more}");
    }
}

/// The most that any minute sees of one who asks greedily, is quiet for some times, and asks again.
async fn most_in_a_minute(pace: &Pace) -> usize {
    let mut sent = Vec::new();
    for quiet in [0, 20, 1, 70, 3] {
        tokio::time::sleep(quiet * SECOND).await;
        let until = Instant::now() + 90 * SECOND;
        while pace.wait(until).await.is_ok() {
            sent.push(Instant::now());
        }
    }
    let within = |first: &Instant| {
        sent.iter().filter(|then| *then >= first && **then < *first + 60 * SECOND).count()
    };
    sent.iter().map(within).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn j13_a_minute_sees_what_the_settings_say() {
    tokio::time::sleep(1000 * SECOND).await;
    for (more, allowed) in [
        ("", 151),
        ("pace_burst = \"0s\"", 121),
        ("pace_counts = \"every_minute\"", 120),
        ("pace_counts = \"every_minute\"\npace_burst = \"3s\"", 120),
        ("pace_counts = \"every_minute\"\npace_burst = \"0s\"", 120),
        ("pace_counts = \"every_minute\"\npace_burst = \"60s\"", 120),
    ] {
        for commons in [None, Some(Commons::one())] {
            let more = format!("requests_per_minute_max = 120\n{more}");
            let most = most_in_a_minute(&pace(commons.as_ref(), &more)).await;
            // A timer may be a millisecond late, which shifts one request into the next minute.
            assert!((allowed - 1..=allowed).contains(&most), "{most} with {more}");
        }
    }
    for commons in [None, Some(Commons::one())] {
        let more = "requests_per_minute_max = 1\npace_counts = \"every_minute\"";
        assert_eq!(most_in_a_minute(&pace(commons.as_ref(), more)).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pace_of_all_replicas_gives_the_same_places_and_looks_as_one_of_this_process() {
    tokio::time::sleep(1000 * SECOND).await;
    let (more, one) = ("requests_per_minute_max = 60", Commons::one());
    for pace in [pace(None, more), pace(Some(&one), more)] {
        let began = Instant::now();
        let admits = async |requests, seconds| {
            pace.look(Instant::now(), Duration::ZERO)
                .await
                .admits(requests, Instant::now() + seconds * SECOND)
        };
        assert_eq!(admits(40, 25).await, Ok(()));
        assert_eq!(admits(41, 25).await, Err(3600 * SECOND));
        let mut at_once = 0;
        while pace.take().await {
            at_once += 1;
        }
        assert_eq!((at_once, began.elapsed()), (16, Duration::ZERO));
        assert_eq!(pace.wait(Instant::now() + SECOND / 2).await, Err(SECOND));
        assert_eq!(admits(40, 25).await, Err(16 * SECOND));
        pace.wait(Instant::now() + 5 * SECOND).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_place_beyond_the_deadline() {
    let now = Instant::now();
    tokio::time::sleep(2 * SECOND).await;
    let at = |seconds| now + seconds * SECOND;
    assert_eq!(in_time(at(4), at(5)), Ok(()));
    assert_eq!(in_time(at(5), at(5)), Err(3 * SECOND));
    assert_eq!(in_time(at(9), at(5)), Err(7 * SECOND));
    // It asked for a place at once, and the answer took two seconds.
    assert_eq!(in_time(at(2), at(0)), Ok(()));
    assert_eq!(in_time(at(3), at(0)), Err(SECOND));
}
