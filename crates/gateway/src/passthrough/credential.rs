//! The credential on its way: the legacy key is taken out, the caller's own is put in, and that one
//! never comes back.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;

/// A shorter credential is no secret, and would be found by chance in what has nothing to do with it.
const WORD_BYTES_MIN: usize = 8;
/// How often escapes are undone to find a credential.
const ROUNDS_MAX: usize = 4;

/// A text that may not come back, found in any place of a flow of pieces.
///
/// What could be its beginning is held back until the next piece tells, so that no part of it leaves
/// before the whole is found.
pub(super) struct Watchword {
    word: Vec<u8>,
    /// For each length of a beginning: the longest shorter beginning that it ends with.
    fallback: Vec<usize>,
    /// How much of the word the last bytes are.
    matched: usize,
}

impl Watchword {
    /// The credential behind the scheme in `Bearer <credential>`.
    pub(super) fn of(authorization: &HeaderValue) -> Option<Watchword> {
        let space = authorization.as_bytes().iter().position(|byte| *byte == b' ')?;
        let word = authorization.as_bytes().get(space + 1..)?;
        (word.len() >= WORD_BYTES_MIN).then(|| Watchword::new(word.to_vec()))
    }

    fn new(word: Vec<u8>) -> Watchword {
        let mut fallback = vec![0; word.len()];
        let mut length = 0;
        for at in 1..word.len() {
            while length > 0 && word[at] != word[length] {
                length = fallback[length - 1];
            }
            if word[at] == word[length] {
                length += 1;
            }
            fallback[at] = length;
        }
        Watchword { word, fallback, matched: 0 }
    }

    /// Looks at the next piece. `Err` when the word is complete; otherwise how many bytes at the end
    /// of all that was seen may be the beginning of the word.
    pub(super) fn look(&mut self, piece: &[u8]) -> Result<usize, Found> {
        // Across the edges of a piece the word is followed byte by byte; within it, it is searched for.
        let edge = self.word.len() - 1;
        if piece.len() <= 2 * edge {
            return self.follow(piece);
        }
        let (first, last) = (&piece[..edge], &piece[piece.len() - edge..]);
        if self.matched > 0 {
            self.follow(first)?;
        }
        if memmem::find(piece, &self.word).is_some() {
            return Err(Found);
        }
        self.matched = 0;
        self.follow(last)
    }

    fn follow(&mut self, bytes: &[u8]) -> Result<usize, Found> {
        for byte in bytes {
            while self.matched > 0 && self.word[self.matched] != *byte {
                self.matched = self.fallback[self.matched - 1];
            }
            if self.word[self.matched] == *byte {
                self.matched += 1;
            }
            if self.matched == self.word.len() {
                return Err(Found);
            }
        }
        Ok(self.matched)
    }

    /// The beginning of the word, as long as it was matched last.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.word[..self.matched]
    }

    /// Removes every header that repeats the word.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        strip_word(headers, &self.word, |_| true);
    }
}

/// The word was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found;

/// Takes a legacy key out of a request's trailers: where it is the credential, and wherever a trailer repeats it, with
/// whichever of its characters escaped.
pub(super) fn take_out(headers: &mut HeaderMap, key: &str) {
    headers.remove(AUTHORIZATION);
    leave_out(headers, key);
}

/// Takes a legacy key out of a request's headers in the same way, and puts another credential where it was.
pub(super) fn exchange(headers: &mut HeaderMap, key: &str, credential: HeaderValue) {
    // In the place of the old one, so that nothing has to be removed, which would move other headers.
    headers.insert(AUTHORIZATION, credential);
    leave_out_where(headers, key, |name| *name != AUTHORIZATION);
}

/// Removes every header that repeats a key, with whichever of its characters escaped.
pub(super) fn leave_out(headers: &mut HeaderMap, key: &str) {
    leave_out_where(headers, key, |_| true);
}

fn leave_out_where(headers: &mut HeaderMap, key: &str, may_go: impl Fn(&HeaderName) -> bool) {
    strip_word(headers, key.as_bytes(), &may_go);
    if key.contains(' ') {
        strip_word(headers, key.replace(' ', "+").as_bytes(), &may_go);
    }
}

/// The query without the parameter that the key came in; everything else byte by byte.
pub(super) fn without_key(query: &str) -> String {
    let is_key = |pair: &&str| {
        let mut pairs = form_urlencoded::parse(pair.as_bytes());
        pairs.next().is_some_and(|(name, _)| name == "key")
    };
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
    rest.join("&")
}

fn strip_word(headers: &mut HeaderMap, word: &[u8], may_go: impl Fn(&HeaderName) -> bool) {
    if word.len() < WORD_BYTES_MIN {
        return;
    }
    let repeats = |value: &HeaderValue| value.len() >= word.len() && repeats(value, word);
    let bad = headers.iter().filter(|(name, value)| may_go(name) && repeats(value));
    let names: Vec<HeaderName> = bad.map(|(name, _)| name.clone()).collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a value has a word in it, as it stands or with its escapes undone, which may be escaped again.
fn repeats(value: &HeaderValue, word: &[u8]) -> bool {
    let mut text = Cow::Borrowed(value.as_bytes());
    for _ in 0..ROUNDS_MAX {
        if memmem::find(&text, word).is_some() {
            return true;
        }
        if !text.contains(&b'%') {
            return false;
        }
        text = Cow::Owned(unescaped(&text));
    }
    false
}

/// The text with its escapes undone once.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| (*after.get(at)? as char).to_digit(16);
        rest = after;
        plain.push(match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                rest = after.get(2..).unwrap_or_default();
                (high * 16 + low) as u8
            }
            (other, ..) => *other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(word: &str) -> Watchword {
        Watchword::new(word.as_bytes().to_vec())
    }

    #[test]
    fn a_header_that_repeats_a_credential_ends_here() {
        let of = |value| Watchword::of(&HeaderValue::from_static(value));
        assert!(of("Bearer short").is_none() && of("nothing").is_none());
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("/x?t=long-secret"));
        headers.insert("etag", HeaderValue::from_static("long-secre"));
        of("Bearer long-secret").unwrap().strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"]);
        for referer in [
            "https://x/?key=a/long/key",
            "https://x/?key=a%2Flong%2Fkey",
            "https://x/?key=%61/%6Cong/k%65%79",
            "https://x/?key=a%252flon%2567%252fkey",
            "https://x/%zz?key=a%2flong/key%",
        ] {
            headers.insert("referer", HeaderValue::from_static(referer));
            take_out(&mut headers, "a/long/key");
            assert_eq!(headers.keys().collect::<Vec<_>>(), ["etag"], "{referer}");
        }
        // Another credential in its place is whole, even with the old one in it.
        headers.insert("referer", HeaderValue::from_static("https://x/?key=a/long/key"));
        headers.append("authorization", HeaderValue::from_static("Bearer a/long/key"));
        headers.append("authorization", HeaderValue::from_static("Basic other"));
        exchange(&mut headers, "a/long/key", HeaderValue::from_static("Bearer new-a/long/key"));
        let left: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let new = HeaderValue::from_static("Bearer new-a/long/key");
        assert_eq!(left[1..], [("authorization", &new)]);
        assert_eq!((left.len(), left[0].0), (2, "etag"));
    }

    #[test]
    fn a_word_is_found_wherever_it_is_cut() {
        for word in ["secret", "aaab", "abab", "x"] {
            let text = format!("aab ab{word}ba");
            for cut in 0..text.len() {
                let mut watch = watch(word);
                let (first, second) = text.as_bytes().split_at(cut);
                let found = watch.look(first).is_err() || watch.look(second).is_err();
                assert!(found, "{word} cut at {cut}");
            }
        }
        // In pieces that are longer than the word is twice, too.
        let text = format!("{0}secret{0}", "se secr ".repeat(5));
        for cut in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut watch = watch("secret");
            assert!(watch.look(first).is_err() || watch.look(second).is_err(), "cut at {cut}");
        }
        let mut held = watch("secret");
        assert_eq!(held.look("se secr ".repeat(5).trim_end().as_bytes()), Ok(4));
        assert_eq!(held.look(" secr ".repeat(5).trim_end().as_bytes()), Ok(4));
        assert_eq!((held.look(b"e"), held.look(b"t")), (Ok(5), Err(Found)));
        let mut none = watch("secret");
        assert_eq!(none.look(b"secre secre"), Ok(5));
        assert_eq!(none.beginning(), b"secre");
        assert_eq!(none.look(b" t"), Ok(0));
    }

    #[test]
    fn only_the_parameter_of_the_key_is_taken_out() {
        for (query, left) in [
            ("key=a", ""),
            ("a=1&key=x&b=%2f+", "a=1&b=%2f+"),
            ("%6bey=x&a", "a"),
            ("keys=1&akey=2&&x", "keys=1&akey=2&&x"),
        ] {
            assert_eq!(without_key(query), left, "{query}");
        }
    }
}
