//! Makes the users. User `i` of a seed is a pure function of both, the same on every machine.
//!
//! The hard cases are at fixed places near the start, so that a data set of 100 users already has them.
//! Nothing here may read a clock or a global random source.

use crate::people::record::{Capacity, ChannelProfile, Named, Ringtone, SkillLevel, Text, User};
use crate::people::words::{
    CHANNELS, EMPTY_TEAMS, FIRST, GROUPS, HARD_NAMES, LAST, QUEUES, RINGTONES, SKILLS, STATUSES,
    Shape, TEAMS, ZONES,
};

/// The id of the first user.
pub const FIRST_ID: u64 = 10_001;

/// The one user with a name of about 2,000 characters.
const LONG_NAME_AT: u64 = 17;
/// The longest lists a user gets.
const LONG_LIST: u64 = 30;

/// A small deterministic source of numbers (splitmix64), one per user or per purpose.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, salt: u64) -> Dice {
        let mut dice = Dice(seed ^ salt.wrapping_mul(0xA076_1D64_78BD_642F));
        // The first outputs of neighbouring seeds are similar; one step makes them differ.
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// All users of a data set, ids ascending with gaps.
pub(crate) fn users(seed: u64, count: usize) -> Vec<User> {
    let mut gaps = Dice::new(seed, 0x6761_7073);
    let mut id = FIRST_ID;
    let mut out = Vec::with_capacity(count);
    for index in 0..count as u64 {
        out.push(user(seed, index, id));
        id += match gaps.below(100) {
            0..=59 => 1,
            60..=97 => 2 + gaps.below(5),
            _ => 100 + gaps.below(900),
        };
    }
    out
}

pub(crate) fn groups() -> Vec<Named> {
    GROUPS.iter().map(|&(id, name)| Named { id, name: name.into() }).collect()
}

pub(crate) fn queues() -> Vec<Named> {
    (0..QUEUES.len() as u64).map(queue).collect()
}

pub(crate) fn skills() -> Vec<Named> {
    (0..SKILLS.len() as u64).map(skill).collect()
}

/// The teams of the contact center, the empty ones last.
pub(crate) fn teams() -> Vec<Named> {
    (0..(TEAMS.len() + EMPTY_TEAMS.len()) as u64).map(team).collect()
}

/// User number `index` of `seed`, under the given id.
pub(crate) fn user(seed: u64, index: u64, id: u64) -> User {
    let mut dice = Dice::new(seed.wrapping_add(index), 1);
    let dice = &mut dice;
    let name = name(dice, index);
    let long = index % 97 == 23;
    let created = dice.next();
    let (status, deleted_at) = life(dice, index);
    User {
        id,
        name,
        email: Text::from(format!("agent.{id}@cc1.example.com")),
        sip_account: (!dice.one_in(20)).then(|| Text::from(format!("u{id}@sip.cc1.example.com"))),
        extension: extension(dice, id),
        caller_id: caller_id(dice),
        employee_id: employee_id(dice, index),
        timezone: (!dice.one_in(25)).then(|| dice.pick(ZONES).into()),
        security_access_group: (!dice.one_in(20)).then(|| {
            let (id, name) = dice.pick(GROUPS);
            Named { id, name: name.into() }
        }),
        teams: some_of(dice, long, TEAMS.len(), team),
        supervised_teams: if dice.one_in(6) {
            some_of(dice, long, TEAMS.len(), team)
        } else {
            Vec::new()
        },
        queues: some_of(dice, long, QUEUES.len(), queue),
        supervised_queues: if dice.one_in(8) {
            some_of(dice, false, QUEUES.len(), queue)
        } else {
            Vec::new()
        },
        webrtc_ringtone: (!dice.one_in(3))
            .then(|| Ringtone { kind: "ringtone".into(), name: dice.pick(RINGTONES).into() }),
        channels: channels(dice),
        channel_group_capacity: Capacity {
            chat: dice.below(8) as u32,
            instant: dice.below(6) as u32,
        },
        channel_profiles: some_of(dice, false, CHANNELS.len(), |_| ())
            .iter()
            .map(|()| profile(dice))
            .collect(),
        speech_language: (!dice.one_in(4)).then(|| dice.pick(&["en", "tr", "pt-BR", "zh"]).into()),
        skills: some_of(dice, long, SKILLS.len(), |i| i)
            .into_iter()
            .map(|i| SkillLevel { skill: skill(i), value: 1 + dice.below(10) as u32 })
            .collect(),
        status,
        created_at: moment(created),
        updated_at: moment(created.rotate_left(17)),
        deleted_at,
    }
}

fn name(dice: &mut Dice, index: u64) -> Text {
    let plain = format!("{} {}", dice.pick(FIRST), dice.pick(LAST));
    if index == LONG_NAME_AT {
        return Text::from(format!("Long {}", "nàme 长 ".repeat(285)));
    }
    // Every third user until the list is used up, then one in fifty.
    let hard = HARD_NAMES.len() as u64;
    if index % 3 == 1 && index / 3 < hard {
        return HARD_NAMES[(index / 3) as usize].into();
    }
    if index / 3 >= hard && dice.one_in(50) {
        return dice.pick(HARD_NAMES).into();
    }
    Text::from(plain)
}

/// Status and deletion date: some users are deleted; some have a date and are at work, like the user of
/// the documented sample.
fn life(dice: &mut Dice, index: u64) -> (Option<Text>, Option<Text>) {
    let date = moment(dice.next());
    match index % 40 {
        9 => (Some("offline".into()), Some(date)),
        19 => (Some("available".into()), Some(date)),
        29 if index % 80 == 29 => (None, Some(date)),
        29 => (Some("archived".into()), Some(date)),
        39 => (None, None),
        _ => (Some(dice.pick(STATUSES).into()), None),
    }
}

fn extension(dice: &mut Dice, id: u64) -> Option<Text> {
    match dice.below(20) {
        0 => None,
        1 => Some(Text::from(format!("0{}", id % 1000))),
        2 => Some("".into()),
        _ => Some(Text::from(own_extension(id))),
    }
}

/// Four digits; the next user with the same digits is 9,000 ids away.
pub(crate) fn own_extension(id: u64) -> String {
    format!("{}", id % 9000 + 1000)
}

fn caller_id(dice: &mut Dice) -> Option<Text> {
    match dice.below(10) {
        0 | 1 => None,
        2 => Some("378".into()),
        3 => Some("Main office, day".into()),
        // Few numbers, so that a filter finds several users.
        _ => Some(Text::from(format!("1202555{:04}", dice.below(40)))),
    }
}

fn employee_id(dice: &mut Dice, index: u64) -> Option<Text> {
    match dice.below(12) {
        0..=2 => None,
        3 => Some("0123".into()),
        4 => Some("123".into()),
        5 => Some("".into()),
        6 => Some("№ 7, \"night\"".into()),
        _ => Some(Text::from(format!("E-{}", index + 1))),
    }
}

fn team(index: u64) -> Named {
    let name = TEAMS.iter().chain(EMPTY_TEAMS).nth(index as usize).copied().unwrap_or_default();
    Named { id: 2401 + 7 * index, name: name.into() }
}

fn skill(index: u64) -> Named {
    Named { id: 1 + index, name: SKILLS[index as usize].into() }
}

fn queue(index: u64) -> Named {
    Named { id: 1 + index, name: QUEUES[index as usize].into() }
}

/// A few distinct entries of a list of `all`: often one or two, sometimes none, for some users 30.
fn some_of<T>(dice: &mut Dice, long: bool, all: usize, make: impl Fn(u64) -> T) -> Vec<T> {
    let all = all as u64;
    let count = match (long, dice.below(20)) {
        (true, _) => LONG_LIST,
        (false, 0..=3) => 0,
        (false, 4..=10) => 1,
        (false, 11..=15) => 2,
        (false, 16..=18) => 3,
        _ => 6,
    }
    .min(all);
    // A stride without a common factor with the length visits each entry once, in unsorted order.
    let stride = (1 + dice.below(all)..).find(|s| gcd(*s, all) == 1).unwrap_or(1);
    let start = dice.below(all);
    (0..count).map(|k| make((start + k * stride) % all)).collect()
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn channels(dice: &mut Dice) -> Vec<Text> {
    let all = ["voice", "chat", "whatsapp", "sms", "email", "viber"];
    let count = dice.below(all.len() as u64) as usize;
    all[..count].iter().map(|slug| Text::from(*slug)).collect()
}

fn profile(dice: &mut Dice) -> ChannelProfile {
    let (slug, shape, name) = dice.pick(CHANNELS);
    let number = 18_880_000_000 + dice.below(99_999_999);
    let made = match shape {
        Shape::Phone => Some(format!("{number}")),
        Shape::PlusPhone => Some(format!("+{number}")),
        Shape::TwoPluses => Some(format!("++{number}")),
        Shape::ZeroPhone => Some(format!("0{}", number % 1_000_000_000)),
        Shape::LongId => Some(format!("{}", 100_000_000_000_000 + dice.below(899_999_999_999_999))),
        Shape::Digits18 => Some("999999999999999999".to_owned()),
        Shape::Digits19 => Some("1000000000000000000".to_owned()),
        Shape::Handle => Some(format!("@bot_{}", dice.below(50))),
        Shape::Address => Some("support@example.com".to_owned()),
        Shape::Spaced => Some("1 888 565 8889".to_owned()),
        Shape::Empty => Some(String::new()),
        Shape::Nothing => None,
    };
    let name = match (shape, &made) {
        (Shape::Phone, Some(number)) => Text::from(format!("{name} ({number})")),
        _ => Text::from(name),
    };
    ChannelProfile {
        id: 1 + dice.below(90),
        channel: slug.into(),
        identifier: made.map(Text::from),
        name,
    }
}

fn moment(x: u64) -> Text {
    Text::from(format!(
        "202{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        2 + x % 4,
        1 + (x >> 4) % 12,
        1 + (x >> 8) % 28,
        (x >> 16) % 24,
        (x >> 24) % 60,
        (x >> 32) % 60,
        (x >> 40) % 1000
    ))
}
