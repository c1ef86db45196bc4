//! The time of reading a page of users, of writing their legacy records, and of both together, as ratios to the same
//! work with serde_json. `docs/PERFORMANCE.md` says how to run it.
//!
//! Must never compare different work: both ways write the same bytes, or it stops.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may")]
#![expect(clippy::disallowed_types, reason = "no runtime is here whose time could be paused")]

mod page;

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::hub::User;
use domain::legacy::{ENDPOINTS, Lists, Notes, Planned};
use domain::listing::{Listing, Which};
use domain::page::{Page, View};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::{Quirks, TimeZoneName};
use domain::related::Related;
use domain::upstream::{Context, Rules, dialect_assumed};
use domain::visibility::Visibility;
use page::{Answer, Named, Text, USERS, Wire};
use serde::Serialize;
use serde_json::Value;

const ROUNDS: usize = 100;
/// How often a round does the same to a page. Short rounds are seldom interrupted.
const PAGES: u32 = 4;
/// How often a round writes each record, so that reading the clock costs little beside it.
const RECORDS: u32 = 20;

/// A legacy record of v1 users.
#[derive(Serialize)]
struct Record<'a> {
    id: u64,
    name: Option<Text<'a>>,
    email: Option<Text<'a>>,
    sip_account: Option<Text<'a>>,
    sag: Option<Text<'a>>,
    extension: Option<Text<'a>>,
    caller_id: Option<Text<'a>>,
    timezone: Option<Text<'a>>,
    webrtc_ringtone: Option<Text<'a>>,
    assigned_teams: String,
    supervisor_in_teams: String,
    assigned_skills: Vec<Level<'a>>,
    assigned_queues: String,
    employee_id: Option<Text<'a>>,
    assigned_channels: Vec<Channel<'a>>,
}

#[derive(Serialize)]
struct Level<'a> {
    name: Option<Text<'a>>,
    value: u32,
}

#[derive(Serialize)]
struct Channel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: Option<Text<'a>>,
    value: Option<u64>,
}

fn ids(teams: &[Named<'_>]) -> String {
    teams.iter().map(|team| team.id.to_string()).collect::<Vec<_>>().join(", ")
}

fn record(user: Wire<'_>) -> Record<'_> {
    let queues: Vec<&str> =
        user.queues.iter().filter_map(|queue| Some(&*queue.name.as_ref()?.0)).collect();
    Record {
        id: user.id.0.parse().unwrap(),
        name: user.name,
        email: user.email,
        sip_account: user.sip_account,
        sag: user.security_access_group.and_then(|group| group.name),
        extension: user.extension,
        caller_id: user.caller_id,
        timezone: user.timezone,
        webrtc_ringtone: user.webrtc_ringtone.and_then(|ringtone| ringtone.name),
        assigned_teams: ids(&user.teams),
        supervisor_in_teams: ids(&user.supervised_teams),
        assigned_skills: user
            .skills
            .into_iter()
            .map(|level| Level { name: level.skill.name, value: level.value })
            .collect(),
        assigned_queues: queues.join(", "),
        employee_id: user.employee_id,
        assigned_channels: user
            .channel_profiles
            .into_iter()
            // The page has no other kind.
            .map(|profile| Channel {
                kind: "WhatsApp",
                name: profile.name,
                value: profile.identifier.0.parse().ok(),
            })
            .collect(),
    }
}

fn typed(body: &[u8]) -> Vec<Wire<'_>> {
    serde_json::from_slice::<Answer<'_>>(body).unwrap().users
}

/// The records of a page, each after a comma.
fn with_serde(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for user in typed(body) {
        out.push(b',');
        serde_json::to_writer(&mut out, &record(user)).unwrap();
    }
    out
}

/// The time of doing something once, measured over so many times.
fn clock(times: u32, mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..times).for_each(|_| work());
    begun.elapsed() / times
}

/// A way of doing a part of the work.
struct Way<'a> {
    part: &'static str,
    name: &'static str,
    /// Does it, and returns the time of a page.
    round: Box<dyn FnMut() -> Duration + 'a>,
    /// Other work on the machine can only add to it.
    least: Duration,
}

impl<'a> Way<'a> {
    fn new(
        part: &'static str,
        name: &'static str,
        round: impl FnMut() -> Duration + 'a,
    ) -> Way<'a> {
        Way { part, name, round: Box::new(round), least: Duration::MAX }
    }
}

/// A way that does something to a whole page.
fn of_page<'a, T>(part: &'static str, name: &'static str, work: impl Fn() -> T + 'a) -> Way<'a> {
    Way::new(part, name, move || clock(PAGES, || drop(black_box(work()))))
}

fn main() {
    let text = page::page();
    let body = text.as_bytes();
    let (rules, related, visibility) =
        (Rules::default(), Related::default(), Visibility::Everything);
    // Without the dictionary of time zones, which the other way has not.
    let quirks = Quirks { timezone: TimeZoneName::Upstream, ..Quirks::default() };
    let listing = Listing::Users(Which::Live);
    let context = Context { rules: &rules, related: &related, tells_keys: false };
    let page =
        Page { dialect: dialect_assumed(), listing: &listing, body, record_bytes: None, context };
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.name() == "v1_users").unwrap();
    let Lists::Users(shape) = endpoint.lists() else { unreachable!() };
    let Planned::Ask(plan) = endpoint.plan(Params::default(), &quirks) else { unreachable!() };
    let Resolved::Ask(plan) = plan.resolve(Vec::new()) else { unreachable!() };
    let view = View {
        lists: endpoint.lists(),
        quirks: &quirks,
        filter: &plan.filter,
        visibility: &visibility,
        unmapped: None,
    };
    let translate = || page.read_rows(&[Some(view)], &mut |_| {}).unwrap().bytes;
    let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text_of(&translate()), text_of(&with_serde(body)), "they did different work");

    let records: Vec<Record<'_>> = typed(body).into_iter().map(record).collect();
    let writing = || {
        let (mut out, mut notes, mut spent) = (Vec::new(), Notes::default(), Duration::ZERO);
        let write = &mut |user: &User<'_>| {
            spent += clock(RECORDS, || {
                out.clear();
                shape.write(user, &quirks, None, &mut out, &mut notes);
                black_box(&out);
            });
        };
        page.read_users(write).unwrap();
        spent
    };
    let writing_with_serde = || {
        let (mut out, mut spent) = (Vec::new(), Duration::ZERO);
        for record in &records {
            spent += clock(RECORDS, || {
                out.clear();
                serde_json::to_writer(&mut out, record).unwrap();
                black_box(&out);
            });
        }
        spent
    };
    let serde = "serde_json";
    let mut ways = [
        of_page("reading", "tieline", || page.read_users(&mut |user| _ = black_box(user))),
        of_page("reading", "serde_json, structs that borrow", || typed(body)),
        of_page("reading", "serde_json, `Value`", || serde_json::from_slice::<Value>(body)),
        Way::new("writing", "tieline", writing),
        Way::new("writing", serde, writing_with_serde),
        of_page("page to records", "tieline", translate),
        of_page("page to records", serde, || with_serde(body)),
    ];
    // In turn, so that a busy moment of the machine reaches all of them.
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.least = way.least.min((way.round)());
        }
    }
    println!("A page of {USERS} users, {} bytes; the least of {ROUNDS} rounds.\n", body.len());
    println!("| part | way | time per user | ratio to tieline |");
    println!("|---|---|---:|---:|");
    for Way { part, name, least, .. } in &ways {
        let own = ways.iter().find(|way| way.part == *part).unwrap();
        let ratio = least.as_secs_f64() / own.least.as_secs_f64();
        println!("| {part} | {name} | {} ns | {ratio:.2} |", least.as_nanos() / USERS as u128);
    }
}
