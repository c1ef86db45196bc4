//! Generated histories of places, answered by the law and by the script on a server: both must say the same, number
//! for number.

use commons::properties::{Answer, Ask, Law, read, take_with_told_clock};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::{Client, Value};

use crate::{Seen, setup};

const SECOND: u64 = 1_000_000;
const AT_ONCE: u32 = 500;

/// One answer that is expected.
struct Expected {
    told: String,
    answer: Answer,
    /// What the server then holds.
    stored: Option<u64>,
}

pub(crate) async fn agree(histories: u32) -> Seen {
    let address = setup().addresses.first().cloned().unwrap_or_default();
    let client = Client::open(address).map_err(|error| error.to_string())?;
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.map_err(|error| error.to_string())?;
    let script = take_with_told_clock();
    let load = redis::cmd("SCRIPT").arg("LOAD").arg(&script).query_async(&mut connection).await;
    let digest: String = load.map_err(|error: redis::RedisError| error.to_string())?;
    let (mut dice, mut asks, mut taken, mut resets) = (StdRng::seed_from_u64(18), 0, 0, 0);
    let mut from = 0;
    while from < histories {
        let until = (from + AT_ONCE).min(histories);
        let mut pipe = redis::pipe();
        let mut expected = Vec::new();
        for index in from..until {
            history(&mut dice, &digest, &format!("{{law}}:{index}"), &mut pipe, &mut expected);
        }
        let answers: Vec<Value> =
            pipe.query_async(&mut connection).await.map_err(|error| error.to_string())?;
        for (pair, expected) in answers.chunks(2).zip(&expected) {
            let Answer { is_taken, first, ahead, was_reset } = expected.answer;
            let parts = [i64::from(is_taken), first, ahead.cast_signed(), i64::from(was_reset)];
            let answer = Value::Array(parts.map(Value::Int).to_vec());
            let stored = match &pair[1] {
                Value::BulkString(bytes) => read(bytes),
                _ => None,
            };
            if pair[0] != answer || stored != expected.stored {
                let Expected { told, stored, .. } = expected;
                return Err(format!("{told}: {answer:?} and {stored:?} expected, got {pair:?}"));
            }
            asks += 1;
            taken += u32::from(is_taken);
            resets += u32::from(was_reset);
        }
        from = until;
    }
    // A test that never got to the branches proves little.
    if resets == 0 || taken == 0 || taken == asks {
        return Err(format!("{asks} asks, {taken} taken, {resets} reset: too much alike"));
    }
    Ok(format!("law: {histories} histories, {asks} asks, {taken} taken, {resets} reset: all agree"))
}

fn history(
    dice: &mut StdRng,
    digest: &str,
    key: &str,
    pipe: &mut redis::Pipeline,
    expected: &mut Vec<Expected>,
) {
    let law =
        Law { interval: dice.random_range(1..5 * SECOND), burst: one(dice, &[0, 20 * SECOND]) };
    let mut now = 1_800_000_000 * SECOND + dice.random_range(0..SECOND);
    let mut next = None;
    for _ in 0..dice.random_range(1..8) {
        // Time passes, or the server's clock jumps.
        now += one(dice, &[0, 10_000, 3 * SECOND, 60 * SECOND]);
        match dice.random_range(0..100) {
            0 => now -= 3600 * SECOND,
            1 => now += 7200 * SECOND,
            _ => {}
        }
        let mut stored: Option<String> = match dice.random_range(0..20) {
            // Lost, or written by somebody else.
            0 => {
                pipe.del(key).ignore();
                None
            }
            1 => Some((now + dice.random_range(0..8000 * SECOND)).to_string()),
            2 => Some(
                ["nan", "-5", "1e15", "0x7f", "", "12345678901234567", " 1"]
                    [dice.random_range(0..7)]
                .into(),
            ),
            _ => next.map(|next: u64| next.to_string()),
        };
        if stored != next.map(|next| next.to_string()) {
            match stored.as_deref() {
                Some("") if dice.random_bool(0.5) => {
                    // A key of another kind.
                    pipe.del(key).ignore().cmd("LPUSH").arg(key).arg("x").ignore();
                    stored = None;
                }
                Some(text) => {
                    pipe.set(key, text).ignore();
                }
                None => {}
            }
        }
        let ask = Ask {
            want: dice.random_range(1..20),
            horizon: one(dice, &[0, 1_000, 30 * SECOND, 800 * SECOND]),
            pause: one(dice, &[0, 0, 20 * SECOND]),
            known: one(dice, &[0, 0, 30 * SECOND]),
            was_alone: dice.random_bool(0.2),
            only_look: dice.random_bool(0.2),
        };
        let number = stored.as_deref().and_then(|stored| read(stored.as_bytes()));
        let (answer, store) = law.take(number, now, ask);
        next = store.or(number);
        let numbers = [law.interval, law.burst, ask.want.into(), ask.horizon, ask.pause, ask.known];
        let command = pipe.cmd("EVALSHA").arg(digest).arg(1).arg(key).arg(&numbers);
        command.arg(i32::from(ask.was_alone)).arg(i32::from(ask.only_look));
        command.arg(now / SECOND).arg(now % SECOND);
        // A key of another kind reads as no number, and so it does here.
        let script = "local v = redis.pcall('GET', KEYS[1]) if type(v) == 'string' then return v end return false";
        pipe.cmd("EVAL").arg(script).arg(1).arg(key);
        let told = format!("{law:?}, {stored:?}, now {now}, {ask:?}");
        let stored = next;
        expected.push(Expected { told, answer, stored });
    }
    pipe.del(key).ignore();
}

/// A number below one of some bounds.
fn one(dice: &mut StdRng, bounds: &[u64]) -> u64 {
    let bound = bounds[dice.random_range(0..bounds.len())];
    if bound == 0 { 0 } else { dice.random_range(0..bound) }
}
