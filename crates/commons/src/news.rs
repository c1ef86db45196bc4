//! News between replicas: how a piece is written, vouched for and read, and the scopes that it is about. Must never
//! act on a piece that no replica with our secret wrote.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::names::{About, Names};
use crate::shapes::{News, Scope, ScopeInner};

/// The longest that any replica can make a pause or a refusal last.
pub(crate) const LASTS_MAX: Duration = Duration::from_secs(3600);
const PIECE: usize = 1 + 16 + 8 + 8;
const CODE: usize = 16;
/// The generation of a refusal that no server of values has counted yet.
pub(crate) const UNKNOWN: u64 = 0;
/// So many scopes that nobody here has asked about yet are remembered for their news.
const STRANGERS_MAX: usize = 1024;

/// A piece of news as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) scope: [u8; CODE],
    pub(crate) news: News,
    /// What a refusal raised the generation to, or [`UNKNOWN`].
    pub(crate) generation: u64,
}

impl Piece {
    pub(crate) fn written(self, names: &Names) -> Vec<u8> {
        let (kind, lasts) = match self.news {
            News::Pause(lasts) => (1, lasts),
            News::Refusal(lasts) => (2, lasts),
        };
        let mut piece = vec![kind];
        piece.extend_from_slice(&self.scope);
        piece.extend_from_slice(&millis(lasts).to_be_bytes());
        piece.extend_from_slice(&self.generation.to_be_bytes());
        let code = names.code(About::News, &[&piece]);
        piece.extend_from_slice(&code);
        piece
    }

    pub(crate) fn read(names: &Names, written: &[u8]) -> Option<Self> {
        let (piece, code) = written.split_at_checked(PIECE)?;
        verify_slices_are_equal(&names.code(About::News, &[piece]), code).ok()?;
        let number =
            |from: usize| piece[from..from + 8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let lasts = Duration::from_millis(number(1 + CODE)).min(LASTS_MAX);
        let news = match piece[0] {
            1 => News::Pause(lasts),
            2 => News::Refusal(lasts),
            _ => return None,
        };
        let mut scope = [0; CODE];
        scope.copy_from_slice(&piece[1..=CODE]);
        Some(Piece { scope, news, generation: number(1 + CODE + 8) })
    }
}

/// The scopes of this process, by their codes.
#[derive(Debug, Default)]
pub(crate) struct Scopes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    scopes: HashMap<[u8; CODE], Weak<ScopeInner>>,
    /// Keeps the scopes of recent news alive until somebody asks for them.
    strangers: VecDeque<Scope>,
}

impl Scopes {
    /// The scope of a code; everybody who asks gets the same one.
    pub(crate) fn of(&self, code: [u8; CODE]) -> Scope {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.of(code)
    }

    /// What another replica says, after so long.
    pub(crate) fn hear(&self, piece: Piece, age: Duration) {
        let scope = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let scope = known.of(piece.scope);
            known.strangers.push_back(scope.clone());
            if known.strangers.len() > STRANGERS_MAX {
                known.strangers.pop_front();
            }
            scope
        };
        match piece.news {
            News::Pause(lasts) => scope.0.pause(lasts.saturating_sub(age)),
            News::Refusal(lasts) => {
                scope.0.refuse(lasts.saturating_sub(age), false);
                match piece.generation {
                    UNKNOWN => scope.0.end_epoch(),
                    generation => scope.0.learn(generation),
                }
            }
        }
    }
}

impl Known {
    fn of(&mut self, code: [u8; CODE]) -> Scope {
        if let Some(scope) = self.scopes.get(&code).and_then(Weak::upgrade) {
            return Scope(scope);
        }
        if self.scopes.len() >= 64 && self.scopes.len() == self.scopes.capacity() {
            self.scopes.retain(|_, scope| scope.strong_count() > 0);
        }
        let scope = Scope::new(code);
        self.scopes.insert(code, std::sync::Arc::downgrade(&scope.0));
        scope
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(secret: u8) -> Names {
        Names::new("tieline", &[secret; 32])
    }

    #[test]
    fn a_piece_is_read_as_written_and_by_nobody_else() {
        for news in [News::Pause(Duration::from_millis(1500)), News::Refusal(Duration::ZERO)] {
            let piece = Piece { scope: [3; 16], news, generation: 77 };
            let written = piece.written(&names(1));
            assert_eq!(Piece::read(&names(1), &written), Some(piece));
            assert_eq!(Piece::read(&names(2), &written), None);
            for index in 0..written.len() {
                let mut forged = written.clone();
                forged[index] ^= 1;
                assert_eq!(Piece::read(&names(1), &forged), None, "byte {index}");
                assert_eq!(Piece::read(&names(1), &written[..index]), None, "{index} bytes");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn news_reach_a_scope_that_is_asked_for_later() {
        let scopes = Scopes::default();
        let second = Duration::from_secs(1);
        let pause = Piece { scope: [3; 16], news: News::Pause(10 * second), generation: 0 };
        scopes.hear(pause, 4 * second);
        let refusal = Piece { scope: [3; 16], news: News::Refusal(5 * second), generation: 77 };
        scopes.hear(refusal, 6 * second);
        let scope = scopes.of([3; 16]);
        let now = tokio::time::Instant::now();
        assert_eq!(scope.paused_until(), Some(now + 6 * second));
        // The refusal is over, but what was read before it is still not shown.
        assert_eq!(
            (scope.refused_until(), scope.epoch(), scope.0.generation()),
            (None, 1, Some(77))
        );
        scopes.hear(refusal, 7 * second);
        assert_eq!(scope.epoch(), 1, "the same refusal ends an epoch once");
        assert_eq!(scopes.of([4; 16]).paused_until(), None);
    }
}
