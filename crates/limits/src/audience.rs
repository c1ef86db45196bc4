//! Those who wait for one reading, each with a question of its own. A question that comes before the reading
//! has begun takes a seat; later ones need another reading, because they have missed a part of this one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// See the module.
pub struct Audience<Q, A>(Mutex<Seats<Q, A>>);

struct Seats<Q, A> {
    seats: Vec<Seat<Q, A>>,
    has_begun: bool,
}

struct Seat<Q, A> {
    question: Arc<Q>,
    /// `None` once it is answered.
    answer: Option<oneshot::Sender<A>>,
}

impl<Q, A> Seat<Q, A> {
    fn waits(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| !answer.is_closed())
    }
}

/// How often it is looked whether anybody waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

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
    pub fn join(&self, question: &Arc<Q>) -> Option<oneshot::Receiver<A>> {
        let mut seats = self.seats();
        if seats.has_begun {
            return None;
        }
        let (answer, told) = oneshot::channel();
        seats.seats.push(Seat { question: Arc::clone(question), answer: Some(answer) });
        Some(told)
    }

    /// The reading has begun: the questions by their seats, without those that are answered or left.
    pub fn begin(&self) -> Vec<Option<Arc<Q>>> {
        let mut seats = self.seats();
        seats.has_begun = true;
        let question = |seat: &Seat<Q, A>| seat.waits().then(|| Arc::clone(&seat.question));
        seats.seats.iter().map(question).collect()
    }

    /// Answers one question.
    pub fn tell(&self, seat: usize, answer: A) {
        let told = self.seats().seats.get_mut(seat).and_then(|seat| seat.answer.take());
        // Somebody who left needs no answer.
        let _ = told.map(|told| told.send(answer));
    }

    /// Answers those questions that have an answer already.
    pub fn tell_some(&self, answer: impl Fn(usize, &Q) -> Option<A>) {
        for (number, seat) in self.seats().seats.iter_mut().enumerate() {
            let told = seat.waits().then(|| answer(number, &seat.question)).flatten();
            if let Some(answer) = told {
                let _ = seat.answer.take().map(|told| told.send(answer));
            }
        }
    }

    /// Answers all questions that still wait.
    pub fn tell_all(&self, answer: impl Fn() -> A) {
        let mut seats = self.seats();
        seats.has_begun = true;
        for told in seats.seats.iter_mut().filter_map(|seat| seat.answer.take()) {
            let _ = told.send(answer());
        }
    }

    /// Answers the later half of the questions that still wait, where there are several.
    pub fn tell_later_half(&self, answer: impl Fn() -> A) {
        let mut seats = self.seats();
        let mut waiting: Vec<_> = seats.seats.iter_mut().filter(|seat| seat.waits()).collect();
        let stays = waiting.len().div_ceil(2);
        for told in waiting.drain(stays..).filter_map(|seat| seat.answer.take()) {
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

    /// Whether nobody waits any more; then nobody can join either.
    pub fn is_deserted(&self) -> bool {
        let mut seats = self.seats();
        let is_deserted = !seats.seats.iter().any(Seat::waits);
        seats.has_begun |= is_deserted;
        is_deserted
    }

    /// Waits until nobody waits any more.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_that_comes_before_the_reading_begins_has_an_answer_of_its_own() {
        let audience = Audience::default();
        let [one, two, left] = [1, 2, 3].map(|question| audience.join(&Arc::new(question)));
        drop(left);
        assert_eq!(audience.begin(), [Some(Arc::new(1)), Some(Arc::new(2)), None]);
        assert!(audience.join(&Arc::new(4)).is_none(), "it has missed a part");
        audience.tell(1, "two");
        assert_eq!(audience.begin(), [Some(Arc::new(1)), None, None]);
        assert!(!audience.is_deserted());
        audience.tell_all(|| "the rest");
        assert_eq!((one.unwrap().await, two.unwrap().await), (Ok("the rest"), Ok("two")));
        assert!(audience.is_deserted());
    }

    #[test]
    fn n01_the_later_half_is_told_until_one_question_is_left() {
        let audience = Audience::default();
        let mut told: Vec<_> = (0..5).map(|n| audience.join(&Arc::new(n)).unwrap()).collect();
        let mut waiting = Vec::new();
        for _ in 0..4 {
            audience.tell_later_half(|| "no room");
            waiting.push(audience.begin().iter().flatten().count());
        }
        assert_eq!(waiting, [3, 2, 1, 1]);
        assert!(told[0].try_recv().is_err());
        assert_eq!(told[1].try_recv(), Ok("no room"));
    }

    #[tokio::test(start_paused = true)]
    async fn n06_that_nobody_waits_is_noticed_within_a_second_and_lets_nobody_in() {
        let audience = Audience::<u32, ()>::default();
        let told = audience.join(&Arc::new(1));
        let started = tokio::time::Instant::now();
        tokio::join!(audience.deserted(), async { drop(told) });
        assert!(started.elapsed() < Duration::from_secs(1));
        assert!(audience.join(&Arc::new(2)).is_none());
    }
}
