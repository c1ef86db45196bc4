//! The time of reading a page of users with the reader of `domain`, and with those of other crates, in one run.
//! `docs/PERFORMANCE.md` says how to run it and what came out.
//!
//! Must never compare different work: each reader finds the same texts, or it stops.

#[path = "../../../../crates/domain/benches/parts/page.rs"]
#[expect(dead_code, reason = "the benchmark of `domain` reads all of it")]
mod page;

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::hub::User;
use domain::listing::{Listing, Which};
use domain::page::Page;
use domain::related::Related;
use domain::upstream::{Context, Rules, dialect_assumed};
use jiter::{Jiter, JiterResult, NumberInt, Peek};
use page::{Answer, Text, USERS, Wire};

const ROUNDS: usize = 200;
/// How often a round reads the page. Short rounds are seldom interrupted.
const PAGES: u32 = 4;

/// A way of reading a page: its name, and how many bytes of text it found.
type Way<'a> = (&'static str, Box<dyn Fn() -> usize + 'a>);

fn main() {
    let text = page::page();
    let body = text.as_bytes();
    let (rules, related) = (Rules::default(), Related::default());
    let listing = Listing::Users(Which::Live);
    let context = Context { rules: &rules, related: &related, tells_keys: false };
    let page = Page { dialect: dialect_assumed(), listing: &listing, body, record_bytes: None, context };
    let ways: [Way<'_>; 5] = [
        (
            "tieline",
            Box::new(|| {
                let mut found = 0;
                page.read_users(&mut |user| found += of_user(user)).expect("a page");
                found
            }),
        ),
        (
            "serde_json, structs that borrow",
            Box::new(|| of_answer(&serde_json::from_slice::<Answer<'_>>(body).expect("a page"))),
        ),
        (
            "sonic-rs, structs that borrow",
            Box::new(|| of_answer(&sonic_rs::from_slice::<Answer<'_>>(body).expect("a page"))),
        ),
        (
            "simd-json, structs that borrow",
            Box::new(|| {
                // It writes into the text that it reads.
                let mut copy = body.to_vec();
                of_answer(&simd_json::serde::from_slice::<Answer<'_>>(&mut copy).expect("a page"))
            }),
        ),
        ("jiter, pulled by hand", Box::new(|| pulled(body).expect("a page"))),
    ];
    let expected = ways[0].1();
    for (name, read) in &ways {
        assert_eq!(read(), expected, "{name} found other texts");
    }
    let mut least = [Duration::MAX; 5];
    // In turn, so that a busy moment of the machine reaches all of them.
    for _ in 0..ROUNDS {
        for ((_, read), least) in ways.iter().zip(&mut least) {
            let begun = Instant::now();
            for _ in 0..PAGES {
                black_box(read());
            }
            *least = (*least).min(begun.elapsed() / PAGES);
        }
    }
    println!("A page of {USERS} users, {} bytes; the least of {ROUNDS} rounds.\n", body.len());
    println!("| reader | time per user | ratio to tieline |");
    println!("|---|---:|---:|");
    for ((name, _), time) in ways.iter().zip(least) {
        let ratio = time.as_secs_f64() / least[0].as_secs_f64();
        println!("| {name} | {} ns | {ratio:.2} |", time.as_nanos() / USERS as u128);
    }
}

fn of_text(text: &Option<Cow<'_, str>>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}

/// The texts that a record of v1 shows.
fn of_user(user: &User<'_>) -> usize {
    let named = [&user.teams, &user.supervised_teams, &user.queues];
    [
        &user.name,
        &user.email,
        &user.sip_account,
        &user.extension,
        &user.caller_id,
        &user.employee_id,
        &user.time_zone,
        &user.ringtone,
    ]
    .into_iter()
    .map(of_text)
    .sum::<usize>()
        + user.group.iter().map(|group| of_text(&group.name)).sum::<usize>()
        + named.into_iter().flatten().map(|named| of_text(&named.name)).sum::<usize>()
        + user.skills.iter().map(|skill| of_text(&skill.name)).sum::<usize>()
        + user.channels.iter().map(|it| of_text(&it.name) + of_text(&it.identifier)).sum::<usize>()
}

fn of_answer(answer: &Answer<'_>) -> usize {
    answer.users.iter().map(of_wire).sum()
}

fn of_wire(user: &Wire<'_>) -> usize {
    let text = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.0.len());
    let named = [&user.teams, &user.supervised_teams, &user.queues];
    [
        &user.name,
        &user.email,
        &user.sip_account,
        &user.extension,
        &user.caller_id,
        &user.employee_id,
        &user.timezone,
    ]
    .into_iter()
    .map(text)
    .sum::<usize>()
        + user.webrtc_ringtone.iter().map(|it| text(&it.name)).sum::<usize>()
        + user.security_access_group.iter().map(|it| text(&it.name)).sum::<usize>()
        + named.into_iter().flatten().map(|it| text(&it.name)).sum::<usize>()
        + user.skills.iter().map(|it| text(&it.skill.name)).sum::<usize>()
        + user
            .channel_profiles
            .iter()
            .map(|it| text(&it.name) + it.identifier.0.len())
            .sum::<usize>()
}

/// The same with jiter: every value is checked, and those that a record needs are read.
fn pulled(body: &[u8]) -> JiterResult<usize> {
    let mut jiter = Jiter::new(body);
    let mut found = 0;
    let mut key = jiter.next_object()?.map(str::to_owned);
    while let Some(name) = key {
        match name.as_str() {
            "users" => {
                let mut row = jiter.next_array()?;
                while row.is_some() {
                    found += user(&mut jiter)?;
                    row = jiter.array_step()?;
                }
            }
            _ => jiter.next_skip()?,
        }
        key = jiter.next_key()?.map(str::to_owned);
    }
    jiter.finish()?;
    Ok(found)
}

/// The fields of a user.
#[derive(Clone, Copy)]
enum Part {
    Text,
    Id,
    Named,
    List(fn(&mut Jiter<'_>) -> JiterResult<usize>),
    Unread,
}

fn user(jiter: &mut Jiter<'_>) -> JiterResult<usize> {
    let mut found = 0;
    let mut part = jiter.next_object()?.map(part_of);
    while let Some(what) = part {
        match what {
            Part::Text => found += text(jiter)?,
            Part::Id => drop(id(jiter)?),
            Part::Named if jiter.peek()? == Peek::Null => jiter.next_null()?,
            Part::Named => found += named(jiter)?,
            Part::List(each) => {
                let mut row = jiter.next_array()?;
                while row.is_some() {
                    found += each(jiter)?;
                    row = jiter.array_step()?;
                }
            }
            Part::Unread => jiter.next_skip()?,
        }
        part = jiter.next_key()?.map(part_of);
    }
    Ok(found)
}

fn part_of(key: &str) -> Part {
    match key {
        "name" | "email" | "sip_account" | "extension" | "caller_id" | "employee_id"
        | "timezone" => Part::Text,
        "id" => Part::Id,
        "security_access_group" | "webrtc_ringtone" => Part::Named,
        "teams" | "supervised_teams" | "queues" => Part::List(named),
        "channel_profiles" => Part::List(profile),
        "skills" => Part::List(skill),
        _ => Part::Unread,
    }
}

fn text(jiter: &mut Jiter<'_>) -> JiterResult<usize> {
    if jiter.peek()? == Peek::Null {
        return jiter.next_null().map(|()| 0);
    }
    // Owned, as a record needs it after the next value was read.
    jiter.next_str().map(|text| black_box(text.to_owned()).len())
}

fn id(jiter: &mut Jiter<'_>) -> JiterResult<Option<u64>> {
    match jiter.peek()? {
        Peek::String => jiter.next_str().map(|text| text.parse().ok()),
        _ => jiter.next_int().map(|number| match number {
            NumberInt::Int(number) => u64::try_from(number).ok(),
            NumberInt::BigInt(_) => None,
        }),
    }
}

/// The name in an object.
fn members(
    jiter: &mut Jiter<'_>,
    read: fn(&mut Jiter<'_>, &str) -> JiterResult<usize>,
) -> JiterResult<usize> {
    let mut found = 0;
    let mut key = jiter.next_object()?.map(Key::of);
    while let Some(name) = key {
        found += read(jiter, name.0)?;
        key = jiter.next_key()?.map(Key::of);
    }
    Ok(found)
}

/// A key that outlives the reader's own buffer.
struct Key(&'static str);

impl Key {
    fn of(key: &str) -> Key {
        Key(["id", "name", "identifier", "skill"].into_iter().find(|it| *it == key).unwrap_or(""))
    }
}

fn named(jiter: &mut Jiter<'_>) -> JiterResult<usize> {
    members(jiter, |jiter, key| match key {
        "id" => id(jiter).map(|_| 0),
        "name" => text(jiter),
        _ => jiter.next_skip().map(|()| 0),
    })
}

fn profile(jiter: &mut Jiter<'_>) -> JiterResult<usize> {
    members(jiter, |jiter, key| match key {
        "name" | "identifier" => text(jiter),
        _ => jiter.next_skip().map(|()| 0),
    })
}

fn skill(jiter: &mut Jiter<'_>) -> JiterResult<usize> {
    members(jiter, |jiter, key| match key {
        "skill" => named(jiter),
        _ => jiter.next_skip().map(|()| 0),
    })
}
