//! Readings, values and news between replicas.

use std::collections::BTreeSet;
use std::time::Duration;

use commons::{Ask, Begun, Commons, Finish, News, Question, Rate, Taken, Uses, Wish};
use tokio::time::{Instant, sleep};

use crate::{Seen, met, replica};

const MINUTE: Duration = Duration::from_secs(60);

fn wish(seconds: u64) -> Wish {
    Wish { fresh_for: MINUTE, deadline: Instant::now() + Duration::from_secs(seconds) }
}

fn whole(body: &[u8]) -> Finish {
    Finish::Whole { body: body.to_vec(), keep_for: MINUTE }
}

/// What a question begins with, in a word.
fn word(begun: &Begun) -> String {
    match begun {
        Begun::Kept { body, .. } => {
            format!("kept {}", String::from_utf8_lossy(&body[..body.len().min(20)]))
        }
        Begun::Failed(slug) => format!("failed {}", String::from_utf8_lossy(slug)),
        Begun::Lead(_) => "lead".to_owned(),
        Begun::Alone => "alone".to_owned(),
    }
}

fn is(what: &str, begun: &Begun, expected: &str) -> Result<(), String> {
    let word = word(begun);
    if word == expected { Ok(()) } else { Err(format!("{what}: {word} in place of {expected}")) }
}

/// Begins and expects to lead; a call that a busy machine delays beyond its budget is made again.
async fn led(what: &str, commons: &Commons, question: &Question) -> Result<commons::Lease, String> {
    for _ in 0..5 {
        match commons.begin(question, wish(10)).await {
            Begun::Lead(lease) => return Ok(lease),
            Begun::Alone => sleep(Duration::from_millis(200)).await,
            other => return Err(format!("{what}: {} in place of lead", word(&other))),
        }
    }
    Err(format!("{what}: alone in place of lead"))
}

/// One replica leads, another follows, `end` ends the reading, and the follower gets what is expected. A follower that a
/// busy machine delays beyond its budget is alone: then both begin again with another question. The part of the last
/// question is returned.
async fn followed(
    (what, expected): (&str, &str),
    [leader, follower]: &[Commons; 2],
    question: impl Fn(&Commons, &[u8]) -> Question,
    end: impl Fn(&Commons, commons::Lease),
) -> Result<Vec<u8>, String> {
    for round in 0..5 {
        let part = format!("groups, {what} {round}").into_bytes();
        let lease = led(what, leader, &question(leader, &part)).await?;
        let (commons, its) = (follower.clone(), question(follower, &part));
        let following = tokio::spawn(async move { commons.begin(&its, wish(20)).await });
        sleep(Duration::from_millis(300)).await;
        end(leader, lease);
        match following.await.map_err(|error| error.to_string())? {
            Begun::Alone => {}
            begun => return is(what, &begun, expected).map(|()| part),
        }
    }
    Err(format!("{what}: alone in place of {expected}"))
}

/// What is stored in the background is there soon.
async fn soon(
    what: &str,
    commons: &Commons,
    question: &Question,
    expected: &str,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let begun = commons.begin(question, wish(1)).await;
        let word = word(&begun);
        if word == expected {
            return Ok(());
        }
        seen.insert(word);
        // Given up, so that the next look finds what is stored.
        drop(begun);
        sleep(Duration::from_millis(20)).await;
    }
    // After a forged value the connection is made anew, so that some looks are alone.
    let seen: Vec<String> = seen.into_iter().collect();
    Err(format!("{what}: {} in place of {expected}", seen.join(", ")))
}

pub(crate) async fn share() -> Seen {
    let (first, second) = (replica(), replica());
    let both = [first.clone(), second.clone()];
    met(&both).await?;
    let run = std::process::id().to_string();
    let scope_bytes = format!("caller {run}");
    let [one, two] = both.each_ref().map(|commons| commons.scope(scope_bytes.as_bytes()));
    let question = |commons: &Commons, part: &[u8]| {
        commons.question(&commons.scope(scope_bytes.as_bytes()), &[part])
    };

    // One reads, the other follows and gets the same.
    let end = |leader: &Commons, lease| leader.finish(lease, whole(b"agents"));
    let groups = followed(("follower", "kept agents"), &both, question, end).await?;
    // A restarted replica begins warm; another question, another caller and another secret do not.
    let third = replica();
    soon("restarted", &third, &question(&third, &groups), "kept agents").await?;
    drop(led("another question", &third, &question(&third, b"skills")).await?);
    let stranger = third.question(&third.scope(b"another configuration"), &[&groups]);
    drop(led("another scope", &third, &stranger).await?);
    let mut setup = crate::setup();
    setup.seal_key = commons::SealKey::new([9; 32]);
    let other = Commons::shared(&setup).map_err(|e| e.to_string())?;
    drop(led_when_there("another secret", &other, &question(&other, &groups)).await?);

    // What nobody follows and nobody takes later is not made, and its reading is over at once.
    for round in 0..50 {
        // The server is given the script's text the first time, in a second call.
        if round == 1 {
            sleep(Duration::from_millis(200)).await;
        }
        let lease = led("unfollowed", &first, &question(&first, b"now")).await?;
        first.finish_with(lease, Uses::Following, || whole(b"nobody follows"));
    }
    let end = |leader: &Commons, lease| {
        leader.finish_with(lease, Uses::Following, || whole(b"teams"));
    };
    followed(("follower of now", "kept teams"), &both, question, end).await?;

    // Seventeen that want a place together are one call, and their places lie one behind the other.
    let pace = first.pace(scope_bytes.as_bytes(), Rate::sustained(600, Duration::ZERO));
    let deadline = Instant::now() + Duration::from_secs(25);
    let commons = first.clone();
    // In a task, as the pages of a list: another thread could otherwise ask before all of them have come.
    let takes = tokio::spawn(async move {
        let one = || commons.take(&pace, Ask::places(1, deadline));
        futures_util::future::join_all((0..17).map(|_| one())).await
    });
    let mut places = Vec::new();
    for taken in takes.await.map_err(|e| e.to_string())? {
        match taken {
            Taken::Places(one) if one.len() == 1 => places.extend(one),
            other => return Err(format!("one of seventeen: {other:?}")),
        }
    }
    let spaces: Vec<_> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if spaces.iter().any(|space| *space < Duration::from_millis(90)) {
        return Err(format!("places of seventeen: {spaces:?}"));
    }

    // A long list comes with a second call.
    let lease = led("long", &first, &question(&first, b"long")).await?;
    let long: Vec<u8> =
        (0..900_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    first.finish(lease, whole(&long));
    let begun = loop {
        match second.begin(&question(&second, b"long"), wish(5)).await {
            Begun::Lead(_) | Begun::Alone => sleep(Duration::from_millis(50)).await,
            other => break other,
        }
    };
    if !matches!(&begun, Begun::Kept { body, .. } if *body == long) {
        return Err(format!("long: {}", word(&begun)));
    }

    // A reading that failed is not tried again for a second; one that is given up is taken over.
    let lease = led("failing", &first, &question(&first, b"fails")).await?;
    first.finish(lease, Finish::Failed(b"upstream_forbidden".to_vec()));
    let failed = Instant::now();
    soon("failed", &second, &question(&second, b"fails"), "failed upstream_forbidden").await?;
    while !matches!(second.begin(&question(&second, b"fails"), wish(1)).await, Begun::Lead(_)) {
        if failed.elapsed() > Duration::from_secs(5) {
            return Err("a failure lasts for ever".to_owned());
        }
        sleep(Duration::from_millis(50)).await;
    }
    followed(("successor", "lead"), &both, question, |_, lease| drop(lease)).await?;

    // News.
    let told = Instant::now();
    first.tell(&one, News::Pause(Duration::from_secs(30)));
    while two.paused_until().is_none() {
        if told.elapsed() > Duration::from_secs(5) {
            return Err("the pause is not known after 5 s".to_owned());
        }
        sleep(Duration::from_millis(5)).await;
    }
    let paused = told.elapsed();
    let epoch = two.epoch();
    let told = Instant::now();
    first.tell(&one, News::Refusal(Duration::from_secs(30)));
    while two.epoch() == epoch || two.refused_until().is_none() {
        if told.elapsed() > Duration::from_secs(5) {
            return Err("the refusal is not known after 5 s".to_owned());
        }
        sleep(Duration::from_millis(5)).await;
    }
    let refused = told.elapsed();
    // What was read before the refusal counts no more, for nobody.
    for commons in [&first, &second, &third] {
        drop(led("after the refusal", commons, &question(commons, &groups)).await?);
        sleep(Duration::from_millis(100)).await;
    }
    // A replica that starts now knows both.
    let late = replica();
    let scope = late.scope(scope_bytes.as_bytes());
    let started = Instant::now();
    while scope.paused_until().is_none() || scope.refused_until().is_none() {
        if started.elapsed() > Duration::from_secs(5) {
            return Err("a new replica does not know the news".to_owned());
        }
        sleep(Duration::from_millis(5)).await;
    }
    if paused.max(refused) > Duration::from_millis(1500) {
        return Err(format!("the pause was known after {paused:?}, the refusal after {refused:?}"));
    }
    Ok(format!("share: pause known after {paused:?}, refusal after {refused:?}"))
}

/// As soon as the replica is connected.
async fn led_when_there(
    what: &str,
    commons: &Commons,
    question: &Question,
) -> Result<commons::Lease, String> {
    for _ in 0..50 {
        if !commons.standing().is_alone
            && let Ok(lease) = led(what, commons, question).await
        {
            return Ok(lease);
        }
        sleep(Duration::from_millis(100)).await;
    }
    led(what, commons, question).await
}

/// Leads for some seconds, then stores.
pub(crate) async fn lead(part: &str, body: &str, seconds: u32) -> Seen {
    let commons = replica();
    let question = commons.question(&commons.scope(b"of two processes"), &[part.as_bytes()]);
    let lease = led_when_there("lead", &commons, &question).await?;
    println!("leading");
    sleep(Duration::from_secs(seconds.into())).await;
    commons.finish(lease, whole(body.as_bytes()));
    sleep(Duration::from_millis(500)).await;
    Ok(format!("finished {body}"))
}

/// Expects a body to be kept.
pub(crate) async fn read(part: &str, body: &str) -> Seen {
    let commons = replica();
    let question = commons.question(&commons.scope(b"of two processes"), &[part.as_bytes()]);
    for _ in 0..50 {
        if !commons.standing().is_alone {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    soon("read", &commons, &question, &format!("kept {body}")).await?;
    Ok(format!("read {body}"))
}
