//! Looks for secrets in whatever a process said: for each of them every piece of 12 bytes, as it is
//! and in every encoding in which a log or an answer may carry it. What it reports never shows one.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A piece of a secret of this many bytes gives it away.
const PIECE: usize = 12;
const FINDINGS_MAX: usize = 5;

/// A text that nobody says by chance: letters and digits, the same for the same number.
pub(crate) fn canary(number: u64, length: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED;
    let letters = (0..length).map(|_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(alphabet[(state >> 33) as usize % alphabet.len()])
    });
    letters.collect()
}

struct Needle {
    bytes: Vec<u8>,
    secret: usize,
    encoding: &'static str,
}

/// A search for some secrets.
pub(crate) struct Search {
    names: Vec<String>,
    needles: Vec<Needle>,
    by_start: HashMap<[u8; PIECE], Vec<usize>>,
    /// Which two bytes any needle begins with: most places are passed over at once.
    starts: Vec<bool>,
}

impl Search {
    /// `secrets` are pairs of a name for the report and the secret, of at least 12 bytes.
    pub(crate) fn new(secrets: &[(String, String)]) -> Search {
        let mut search = Search {
            names: secrets.iter().map(|(name, _)| name.clone()).collect(),
            needles: Vec::new(),
            by_start: HashMap::new(),
            starts: vec![false; 1 << 16],
        };
        for (secret, (name, text)) in secrets.iter().enumerate() {
            assert!(text.len() >= PIECE, "{name} is too short to look for");
            for piece in text.as_bytes().windows(PIECE) {
                for (encoding, bytes) in encodings(piece) {
                    let start: [u8; PIECE] = bytes[..PIECE].try_into().unwrap();
                    search.starts[two(&start)] = true;
                    search.by_start.entry(start).or_default().push(search.needles.len());
                    search.needles.push(Needle { bytes, secret, encoding });
                }
            }
        }
        search
    }

    /// Where a secret stands, a few places at most: which one, in which encoding, at which byte.
    pub(crate) fn find(&self, haystack: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut at = 0;
        while at + PIECE <= haystack.len() && found.len() < FINDINGS_MAX {
            let rest = &haystack[at..];
            at += 1;
            if !self.starts[two(rest)] {
                continue;
            }
            let Some(needles) = self.by_start.get(&rest[..PIECE]) else { continue };
            let mut needles = needles.iter().map(|number| &self.needles[*number]);
            if let Some(needle) = needles.find(|needle| rest.starts_with(&needle.bytes)) {
                let (name, encoding) = (&self.names[needle.secret], needle.encoding);
                found.push(format!("a piece of {name} as {encoding} at byte {}", at - 1));
                // The other pieces of the same place say nothing new.
                at += 4 * PIECE;
            }
        }
        found
    }
}

fn two(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// A piece in every encoding; for base64 the letters that do not depend on its neighbours.
fn encodings(piece: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |f: &dyn Fn(&u8) -> String| piece.iter().map(f).collect::<String>().into_bytes();
    let escaped = |f: &dyn Fn(&u8) -> String| {
        each(&|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-_.~*".contains(b) => char::from(*b).to_string(),
            b => f(b),
        })
    };
    let list: Vec<String> = piece.iter().map(u8::to_string).collect();
    let mut all = vec![
        ("it is", piece.to_vec()),
        ("percent escapes", escaped(&|byte| format!("%{byte:02X}"))),
        ("small percent escapes", escaped(&|byte| format!("%{byte:02x}"))),
        ("percent escapes throughout", each(&|byte| format!("%{byte:02X}"))),
        ("small percent escapes throughout", each(&|byte| format!("%{byte:02x}"))),
        ("hex", each(&|byte| format!("{byte:02x}"))),
        ("large hex", each(&|byte| format!("{byte:02X}"))),
        ("a list of numbers", list.join(", ").into_bytes()),
        ("a dense list of numbers", list.join(",").into_bytes()),
    ];
    for before in 0..3 {
        // Letters that hold bits of the bytes before, and one that would hold bits of the bytes after.
        let skip = (before * 8_usize).div_ceil(6);
        let take = (before + piece.len()) * 8 / 6 - skip;
        let bytes = [&vec![0; before], piece].concat();
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("URL-safe base64", &URL_SAFE_NO_PAD)]
        {
            let text = engine.encode(&bytes);
            all.push((name, text.as_bytes()[skip..skip + take].to_vec()));
        }
    }
    all
}

/// Everything that was heard, with a name for the report.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Vec<(String, Vec<u8>)>);

impl Heard {
    pub(crate) fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.0.push((name.into(), bytes));
    }

    /// The different statuses and slugs among the answers.
    pub(crate) fn outcomes(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (_, bytes) in &self.0 {
            let text = String::from_utf8_lossy(bytes);
            all.extend(text.strip_prefix("HTTP/1.1 ").map(|rest| rest[..3].to_owned()));
            let slug = text.lines().find_map(|line| line.strip_prefix("x-tieline-error: "));
            all.extend(slug.map(|slug| slug.trim_end().to_owned()));
        }
        all
    }

    /// Fails with the places of all secrets, and shows none.
    pub(crate) fn assert_clean(&self, search: &Search) {
        let mut found = Vec::new();
        for (name, bytes) in &self.0 {
            found.extend(search.find(bytes).into_iter().map(|what| format!("{name}: {what}")));
        }
        found.truncate(20);
        assert!(found.is_empty(), "secrets in what was heard:\n{}", found.join("\n"));
    }
}
