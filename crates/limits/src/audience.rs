//! The callers that wait for one reading, each with a question and a deadline of its own. A question that comes before
//! the reading has begun takes a seat; later ones need another reading, because a part of this one may be older
//! than they are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// See the module.
pub struct Audience<Q, A>(Mutex<Seats<Q, A>>);

struct Seats<Q, A> {
    seats: Vec<Seat<Q, A>>,
    has_begun: bool,
}

struct Seat<Q, A> {
    question: Arc<Q>,
    joined: Instant,
    deadline: Instant,
    /// `None` once it is answered.
    answer: Option<oneshot::Sender<A>>,
}

impl<Q, A> Seat<Q, A> {
    fn waits(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }
}

/// How often it is looked whether anybody waits, or has joined.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(300);

impl<Q, A> Default for Audience<Q, A> {
    fn default() -> Self {
        Audience(Mutex::new(Seats { seats: Vec::new(), has_begun: false }))
    }
}

impl<Q, A> std::fmt::Debug for Audience<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audience")
    }
}

impl<Q, A> Audience<Q, A> {
    /// A seat, unless the reading has begun; the answer comes by it.
    pub fn join(&self, question: &Arc<Q>, deadline: Instant) -> Option<oneshot::Receiver<A>> {
        let mut seats = self.seats();
        if seats.has_begun {
            return None;
        }
        let (answer, told) = oneshot::channel();
        let (question, joined) = (Arc::clone(question), Instant::now());
        seats.seats.push(Seat { question, joined, deadline, answer: Some(answer) });
        Some(told)
    }

    /// The reading begins: no question can join any more.
    pub fn begin(&self) {
        self.seats().has_begun = true;
    }

    /// The questions by their seats, without those that are answered or left.
    pub fn questions(&self) -> Vec<Option<Arc<Q>>> {
        let seats = self.seats();
        let question = |seat: &Seat<Q, A>| seat.waits().then(|| Arc::clone(&seat.question));
        seats.seats.iter().map(question).collect()
    }

    /// Answers one question.
    pub fn tell(&self, seat: usize, answer: A) {
        let told = self.seats().seats.get_mut(seat).and_then(|seat| seat.answer.take());
        // A caller that left needs no answer.
        let _ = told.map(|told| told.send(answer));
    }

    /// Answers those questions that have an answer already, by seat, question and deadline.
    pub fn tell_some(&self, answer: impl Fn(usize, &Q, Instant) -> Option<A>) {
        for (number, seat) in self.seats().seats.iter_mut().enumerate() {
            if !seat.waits() {
                continue;
            }
            let told = answer(number, &seat.question, seat.deadline);
            if let Some(answer) = told {
                let _ = seat.answer.take().map(|told| told.send(answer));
            }
        }
    }

    /// The first and the last deadline of those that wait; `None` where none does.
    pub fn deadlines(&self) -> Option<(Instant, Instant)> {
        let seats = self.seats();
        let deadlines = seats.seats.iter().filter(|seat| seat.waits()).map(|seat| seat.deadline);
        deadlines.fold(None, |span, at| {
            let (first, last) = span.unwrap_or((at, at));
            Some((first.min(at), last.max(at)))
        })
    }

    /// Answers the questions that have waited for so long, or whose deadline has come. Returns when the next one
    /// will have, as far as is known now; `None` where none waits.
    pub fn tell_late(&self, wait_max: Duration, answer: impl Fn() -> A) -> Option<Instant> {
        let (now, mut next) = (Instant::now(), None::<Instant>);
        for seat in self.seats().seats.iter_mut().filter(|seat| seat.waits()) {
            let until = (seat.joined + wait_max).min(seat.deadline);
            if until <= now {
                let _ = seat.answer.take().map(|told| told.send(answer()));
            } else {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
        }
        next
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.seats().seats.iter().filter(|seat| seat.waits()).count()
    }

    /// Answers all questions that still wait.
    pub fn tell_all(&self, answer: impl Fn() -> A) {
        let mut seats = self.seats();
        seats.has_begun = true;
        for told in seats.seats.iter_mut().filter_map(|seat| seat.answer.take()) {
            let _ = told.send(answer());
        }
    }

    /// How many seats were taken.
    pub fn len(&self) -> usize {
        self.seats().seats.len()
    }

    /// Whether no seat was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether something holds of every question that still waits.
    pub fn all(&self, is: impl Fn(&Q) -> bool) -> bool {
        self.seats().seats.iter().filter(|seat| seat.waits()).all(|seat| is(&seat.question))
    }

    /// Whether no question waits any more; then none can join either.
    pub fn is_deserted(&self) -> bool {
        let mut seats = self.seats();
        let is_deserted = !seats.seats.iter().any(Seat::waits);
        seats.has_begun |= is_deserted;
        is_deserted
    }

    /// Waits until no question waits any more.
    pub async fn deserted(&self) {
        while !self.is_deserted() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats<Q, A>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the holders of so many bytes may stay where all together may hold `bytes_max`: the ones that
/// hold least. The first of the others stays as well, since it could do so alone.
pub fn may_stay(held: &[u64], bytes_max: u64) -> Vec<bool> {
    let mut by_bytes: Vec<usize> = (0..held.len()).collect();
    by_bytes.sort_by_key(|seat| held[*seat]);
    let (mut may_stay, mut sum) = (vec![false; held.len()], 0_u64);
    for seat in by_bytes {
        sum = sum.saturating_add(held[seat]);
        may_stay[seat] = sum <= bytes_max;
    }
    if let Some(first) = may_stay.iter_mut().find(|stays| !**stays) {
        *first = true;
    }
    may_stay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_that_comes_before_the_reading_begins_has_an_answer_of_its_own() {
        let (audience, now) = (Audience::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let [one, two, left] =
            [1, 2, 3].map(|question| audience.join(&Arc::new(question), at(10 - question)));
        assert_eq!(audience.deadlines(), Some((at(7), at(9))));
        drop(left);
        assert_eq!((audience.deadlines(), audience.waiting()), (Some((at(8), at(9))), 2));
        audience.begin();
        assert_eq!(audience.questions(), [Some(Arc::new(1)), Some(Arc::new(2)), None]);
        assert!(audience.join(&Arc::new(4), now).is_none(), "it has missed a part");
        audience.tell(1, "two");
        assert_eq!(audience.questions(), [Some(Arc::new(1)), None, None]);
        assert!(!audience.is_deserted());
        audience.tell_all(|| "the rest");
        assert_eq!((one.unwrap().await, two.unwrap().await), (Ok("the rest"), Ok("two")));
        assert!(audience.is_deserted());
    }

    #[tokio::test(start_paused = true)]
    async fn n02_each_waits_as_long_as_it_may_from_when_it_came() {
        let (audience, started) = (Audience::default(), Instant::now());
        let (wait_max, at) =
            (Duration::from_secs(10), |seconds| started + Duration::from_secs(seconds));
        let late = || "late";
        assert_eq!(audience.tell_late(wait_max, late), None);
        let first = audience.join(&Arc::new(1), at(60)).unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
        // Of its time most is over, and it waits as long as the other.
        let second = audience.join(&Arc::new(2), at(15)).unwrap();
        let third = audience.join(&Arc::new(3), at(8)).unwrap();
        assert_eq!(audience.tell_late(wait_max, late), Some(at(8)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(audience.tell_late(wait_max, late), Some(at(10)));
        assert_eq!(third.await, Ok("late"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(audience.tell_late(wait_max, late), Some(at(14)));
        assert_eq!(first.await, Ok("late"));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(audience.tell_late(wait_max, late), None);
        assert_eq!(second.await, Ok("late"));
    }

    #[test]
    fn n01_questions_that_hold_little_stay_and_of_the_others_the_first() {
        for (held, bytes_max, stay) in [
            (&[][..], 10, &[][..]),
            (&[4, 3, 2], 10, &[0, 1, 2]),
            // Beside any list a row is little.
            (&[900, 1, 0, 1], 10, &[0, 1, 2, 3]),
            (&[1, 900, 1, 900, 900], 10, &[0, 1, 2]),
            // The same for all: the latest go first.
            (&[4, 4, 4, 4, 4], 10, &[0, 1, 2]),
            (&[900, 800], 10, &[0]),
            (&[u64::MAX, u64::MAX], 10, &[0]),
        ] {
            let may_stay = may_stay(held, bytes_max);
            let seats: Vec<usize> = (0..held.len()).filter(|seat| may_stay[*seat]).collect();
            assert_eq!(seats, stay, "{held:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n06_an_empty_audience_is_noticed_within_a_second_and_lets_no_question_in() {
        let audience = Audience::<u32, ()>::default();
        let started = Instant::now();
        let told = audience.join(&Arc::new(1), started);
        tokio::join!(audience.deserted(), async { drop(told) });
        assert!(started.elapsed() < Duration::from_secs(1));
        assert!(audience.join(&Arc::new(2), started).is_none());
    }
}
