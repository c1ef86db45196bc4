//! The turns of the roll: once a second each replica says that it is here, learns how many there are, and reads the
//! news. The same script is the probe that closes the breaker, in a task of its own, so that no client pays for a probe.
//! Must never count news as told before the server has taken them.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep_until};

use crate::faults::Fault;
use crate::link::Call;
use crate::members::LISTED_MAX;
use crate::news::{Piece, UNKNOWN, millis};
use crate::roll::{Pending, SILENCE};
use crate::scripts;
use crate::shapes::News;
use crate::shared::Shared;

/// Less than the second within which news must be known, by what a call takes.
const EVERY: Duration = Duration::from_millis(900);
/// The same until the first answer.
const EVERY_AT_FIRST: Duration = Duration::from_millis(100);
/// So much news is kept ...
const NEWS_MAX: &str = "1000";
/// ... and so much comes with one answer.
const NEWS_AT_ONCE: usize = 200;
/// The most bytes of an answer.
const ANSWER_MAX: usize = (NEWS_AT_ONCE + LISTED_MAX) * 256;
/// Nobody waits for what is told, so that it may take this many times as long as a call.
const PATIENCE: u32 = 10;

/// Runs as long as the commons does.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut last = "0".to_owned();
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = shared.outbox.has_more.notified() => {}
            () = sleep_until(next) => {
                let begun = Instant::now();
                turn(&shared, &mut last).await;
                next = begun + if shared.roll.has_met() { EVERY } else { EVERY_AT_FIRST };
            }
        }
        // What the server does not take is told again with the next turn.
        for mut piece in shared.outbox.all() {
            let is_over = piece.refusals == 0 && piece.ends() <= Instant::now();
            // A replica that is busy telling must not fall silent itself.
            let is_due = Instant::now() >= next;
            if !is_over && (is_due || !told(&shared, &mut piece).await) {
                shared.outbox.add(piece);
            }
        }
    }
}

/// One turn of the roll.
async fn turn(shared: &Shared, last: &mut String) {
    loop {
        let keys = [shared.names.of_roll("m"), shared.names.of_roll("n")];
        let keys = keys.each_ref().map(String::as_str);
        let (silence, at_once) = (SILENCE.as_millis().to_string(), NEWS_AT_ONCE.to_string());
        let (own, before) = shared.members.written(&shared.names, &shared.replica);
        let listed = LISTED_MAX.to_string();
        let args = [
            &own[..],
            &before[..],
            last.as_bytes(),
            silence.as_bytes(),
            at_once.as_bytes(),
            listed.as_bytes(),
        ];
        let control = &shared.control;
        let call = Call { answer_max: ANSWER_MAX, ..Call::in_background(shared.budget) };
        let answer = control.run(&scripts::ROLL, &keys, &args, call).await;
        let Some(answer) = answer else { break };
        let Some(Heard { count, members, news }) = read(answer) else {
            control.distrust(Fault::Answer);
            break;
        };
        control.close_breaker();
        let foreign = shared.members.hear(&shared.names, &shared.replica, &members);
        if foreign > 0 {
            shared.faults.note(Fault::Auth);
        }
        // What no replica wrote makes no share smaller.
        shared.roll.count(count.saturating_sub(u32::try_from(foreign).unwrap_or(u32::MAX)));
        for (id, age, written) in &news {
            last.clone_from(id);
            match Piece::read(&shared.names, written) {
                Some(piece) => shared.scopes.hear(piece, *age),
                None => shared.faults.note(Fault::Auth),
            }
        }
        if news.len() < NEWS_AT_ONCE {
            break;
        }
    }
    if shared.values.breaker_is_open() {
        let key = shared.names.of_roll("v");
        let args = [&b"0"[..], b"0"];
        let values = &shared.values;
        let probe =
            values.run(&scripts::FETCH, &[&key], &args, Call::in_background(shared.budget)).await;
        if probe.is_some() {
            values.close_breaker();
        }
    }
}

/// A turn's answer.
#[derive(Debug, PartialEq)]
struct Heard {
    /// How many replicas there are.
    count: u32,
    /// As many of them as are listed.
    members: Vec<Vec<u8>>,
    /// Pieces of news: id, age, and what was written.
    news: Vec<(String, Duration, Vec<u8>)>,
}

fn read(answer: Value) -> Option<Heard> {
    let Value::Array(parts) = answer else { return None };
    let mut parts = parts.into_iter();
    let (Some(Value::Int(count)), Some(Value::Array(listed))) = (parts.next(), parts.next()) else {
        return None;
    };
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let written = |member| match member {
        Value::BulkString(written) => Some(written),
        _ => None,
    };
    let members = listed.into_iter().map(written).collect::<Option<Vec<_>>>()?;
    let mut news = Vec::new();
    while let Some(id) = parts.next() {
        let (Value::BulkString(id), Some(Value::Int(age)), Some(Value::BulkString(piece))) =
            (id, parts.next(), parts.next())
        else {
            return None;
        };
        let is_id = id.len() <= 40 && id.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
        let id = String::from_utf8(id).ok().filter(|_| is_id)?;
        news.push((id, Duration::from_millis(u64::try_from(age).unwrap_or(0)), piece));
    }
    Some(Heard { count, members, news })
}

/// Whether the server has taken a piece.
async fn told(shared: &Shared, piece: &mut Pending) -> bool {
    let (scope, news) = (&piece.scope, piece.news);
    let remaining = piece.ends().saturating_duration_since(Instant::now());
    let (kind, raises) = match news {
        News::Pause(_) => ("p", &b"0"[..]),
        News::Refusal(_) => ("r", &b"1"[..]),
    };
    let budget = shared.budget * PATIENCE;
    let generation = match piece.generation {
        Some(generation) => generation,
        None => {
            let keys = [shared.names.key(&scope.0.tag, kind), shared.names.key(&scope.0.tag, "g")];
            let keys = keys.each_ref().map(String::as_str);
            let millis = millis(remaining).to_string();
            let args = [millis.as_bytes(), raises];
            let values = &shared.values;
            let answer =
                values.run(&scripts::TELL, &keys, &args, Call::in_background(budget)).await;
            let generation = match answer {
                Some(Value::Int(generation)) => u64::try_from(generation).ok(),
                _ => None,
            };
            let Some(generation) = generation else {
                // The servers of values may be away alone: the others hear of it all the same, once.
                if !piece.is_heard {
                    piece.is_heard = published(shared, piece, remaining, UNKNOWN).await;
                }
                return false;
            };
            scope.0.settle(generation, piece.refusals);
            piece.refusals = 0;
            piece.generation = Some(generation);
            generation
        }
    };
    published(shared, piece, remaining, generation).await
}

/// Whether the stream that all replicas read has a piece.
async fn published(shared: &Shared, piece: &Pending, remaining: Duration, generation: u64) -> bool {
    let news = match piece.news {
        News::Pause(_) => News::Pause(remaining),
        News::Refusal(_) => News::Refusal(remaining),
    };
    let written = Piece { scope: piece.scope.0.code, news, generation }.written(&shared.names);
    let key = shared.names.of_roll("n");
    let args = [&written[..], NEWS_MAX.as_bytes()];
    let (control, budget) = (&shared.control, shared.budget * PATIENCE);
    control.run(&scripts::NEWS, &[&key], &args, Call::in_background(budget)).await.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_form_is_no_answer() {
        let bytes = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let members = || Value::Array(vec![bytes("a")]);
        let good = vec![Value::Int(3), members(), bytes("17-0"), Value::Int(5), bytes("x")];
        let news = vec![("17-0".to_owned(), Duration::from_millis(5), b"x".to_vec())];
        let heard = Heard { count: 3, members: vec![b"a".to_vec()], news };
        assert_eq!(read(Value::Array(good.clone())), Some(heard));
        for bad in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(good[..1].to_vec()),
            Value::Array(good[..4].to_vec()),
            Value::Array(vec![Value::Int(3), members(), bytes("0\r\n"), Value::Int(5), bytes("x")]),
            Value::Array(vec![Value::Int(3), Value::Array(vec![Value::Int(1)])]),
            Value::Array(vec![bytes("3"), members()]),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad:?}");
        }
    }
}
