//! Which replicas there are, and what each says of itself: a small word that is opaque here, vouched for like news.
//! Must never list a replica that none with our secret wrote down.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::time::Instant;

use crate::names::{About, Names};
use crate::shapes::Member;

/// So many replicas are listed; more only count.
pub(crate) const LISTED_MAX: usize = 200;
/// The longest word.
pub(crate) const WORD_MAX: usize = 128;
/// The name of a replica, in hexadecimal digits.
const NAME: usize = 32;
const CODE: usize = 16;
/// As much of its name is shown.
const SHOWN: usize = 8;
/// During a deployment replicas differ for a while.
const DIFFERENT_FOR: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(crate) struct Members(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// What this replica says of itself.
    word: Vec<u8>,
    /// How it was last written down.
    written: Vec<u8>,
    all: Vec<Member>,
    /// Since when not all say the same, and whether it was logged.
    different: Option<(Instant, bool)>,
}

impl Members {
    /// What this replica says of itself from now on.
    pub(crate) fn describe(&self, word: &[u8]) {
        let word = &word[..word.len().min(WORD_MAX)];
        self.known(|known| known.word = word.to_vec());
    }

    /// How this replica is written down now, and how it was until now.
    pub(crate) fn written(&self, names: &Names, replica: &str) -> (Vec<u8>, Vec<u8>) {
        self.known(|known| {
            let mut written = replica.as_bytes().to_vec();
            written.extend(names.code(About::Member, &[replica.as_bytes(), &known.word]));
            written.extend(&known.word);
            let before = std::mem::replace(&mut known.written, written.clone());
            (written, if before.is_empty() { known.written.clone() } else { before })
        })
    }

    /// Takes in what the server lists. How many of these no replica wrote.
    pub(crate) fn hear(&self, names: &Names, replica: &str, listed: &[Vec<u8>]) -> usize {
        let mut all: Vec<Member> =
            listed.iter().filter_map(|written| read(names, replica, written)).collect();
        let foreign = listed.len() - all.len();
        all.sort_by(|one, other| one.who.cmp(&other.who));
        all.dedup_by(|one, other| one.who == other.who);
        self.known(|known| {
            known.all = all;
            known.note_difference();
        });
        foreign
    }

    /// Those that were last heard of, this replica always among them.
    pub(crate) fn all(&self, replica: &str) -> Vec<Member> {
        self.known(|known| {
            let mut all = known.all.clone();
            if !all.iter().any(|member| member.is_own) {
                let who = replica.get(..SHOWN).unwrap_or(replica).to_owned();
                all.push(Member { who, word: known.word.clone(), is_own: true });
            }
            all
        })
    }

    fn known<T>(&self, does: impl FnOnce(&mut Known) -> T) -> T {
        // Plain data, valid after any panic.
        does(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// One line where replicas differ for longer than a deployment takes to notice.
    fn note_difference(&mut self) {
        if self.all.windows(2).all(|pair| pair[0].word == pair[1].word) {
            self.different = None;
            return;
        }
        let (since, was_told) = self.different.get_or_insert((Instant::now(), false));
        if !*was_told && since.elapsed() >= DIFFERENT_FOR {
            *was_told = true;
            tracing::warn!(
                replicas = self.all.len(),
                "commons: the replicas have different versions or configurations; /replicas of the admin port shows them"
            );
        }
    }
}

fn read(names: &Names, replica: &str, written: &[u8]) -> Option<Member> {
    let (name, rest) = written.split_at_checked(NAME)?;
    let (code, word) = rest.split_at_checked(CODE)?;
    verify_slices_are_equal(&names.code(About::Member, &[name, word]), code).ok()?;
    let name = std::str::from_utf8(name).ok()?;
    let who = name.get(..SHOWN)?.to_owned();
    Some(Member { who, word: word.to_vec(), is_own: name == replica })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn members_are_listed_with_their_words_and_forged_ones_are_not() {
        let names = Names::new("tieline", &[1; 32]);
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let (here, there) = (Members::default(), Members::default());
        here.describe(b"1.0 a");
        there.describe(&[b'b'; 200]);
        let (first, before) = here.written(&names, &one);
        assert_eq!(first, before);
        let listed = [first.clone(), there.written(&names, &two).0];
        assert_eq!(here.hear(&names, &one, &listed), 0);
        let all = here.all(&one);
        let words: Vec<(&str, usize, bool)> =
            all.iter().map(|it| (it.who.as_str(), it.word.len(), it.is_own)).collect();
        assert_eq!(words, [("11111111", 5, true), ("22222222", WORD_MAX, false)]);
        // Another word is another entry, in place of the one until now.
        here.describe(b"1.1 a");
        let (second, before) = here.written(&names, &one);
        assert!(before == first && second != first);
        for index in 0..first.len() {
            let mut forged = first.clone();
            forged[index] ^= 1;
            assert_eq!(here.hear(&names, &one, &[forged]), 1, "byte {index}");
            assert_eq!(here.hear(&names, &one, &[first[..index].to_vec()]), 1, "{index} bytes");
        }
        // Nobody is heard of, but this one is there.
        assert_eq!(
            here.all(&one),
            [Member { who: "11111111".into(), word: b"1.1 a".to_vec(), is_own: true }]
        );
    }
}
