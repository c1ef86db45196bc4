//! Answers in fewer bytes: the codings there are, and an answer's bytes in each, made once for all who
//! take it. Must never run on a thread that others wait for, and never code what is not worth it.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use settings::Coding;
use tokio::sync::{OnceCell, Semaphore};

use crate::layer::rope::Rope;

/// Shorter answers fit into a packet or two as they are.
const PLAIN_BYTES_MAX: usize = 1024;

/// A coded answer longer than this part of the plain one is not used: what is kept of an answer
/// beside its plain bytes is so bounded as well.
const WORTH: usize = 3;

/// Whether this build can make it: `br` and `zstd` are the feature `codings`.
pub fn is_built_in(coding: Coding) -> bool {
    matches!(coding, Coding::Gzip) || cfg!(feature = "codings")
}

/// The tag of an answer in a coding: other bytes, so another tag.
pub(crate) fn tag(coding: Coding, plain: &HeaderValue) -> Option<HeaderValue> {
    let inner = plain.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::from_str(&format!("{inner}-{}\"", coding.as_str())).ok()
}

/// Levels above which less is saved than it costs: `docs/PERFORMANCE.md` has the figures.
fn encode(coding: Coding, plain: &Rope) -> io::Result<Vec<u8>> {
    let room = Vec::with_capacity(plain.len() / 8);
    let mut pieces = plain.pieces().iter();
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(room, Compression::new(2));
            pieces.try_for_each(|piece| encoder.write_all(piece))?;
            encoder.finish()
        }
        #[cfg(feature = "codings")]
        Coding::Br => {
            let mut encoder = brotli::CompressorWriter::new(room, 4096, 1, 20);
            pieces.try_for_each(|piece| encoder.write_all(piece))?;
            encoder.flush()?;
            Ok(encoder.into_inner())
        }
        #[cfg(feature = "codings")]
        Coding::Zstd => match plain.pieces() {
            [piece] => zstd::bulk::compress(piece, 1),
            _ => {
                let mut encoder = zstd::stream::write::Encoder::new(room, 1)?;
                // Tells the reader how much it will be, as the other way does.
                encoder.set_pledged_src_size(Some(plain.len() as u64))?;
                encoder.include_contentsize(true)?;
                pieces.try_for_each(|piece| encoder.write_all(piece))?;
                encoder.finish()
            }
        },
        #[cfg(not(feature = "codings"))]
        Coding::Br | Coding::Zstd => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// What coding answers needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Codings {
    /// Those that are used, the best first; each is built in.
    pub(crate) used: Arc<[Coding]>,
    /// Answers coded at once: more would only take the processors from each other.
    places: Arc<Semaphore>,
}

impl Codings {
    /// Of the configured codings, the best first, those that this build can make.
    pub(crate) fn new(configured: &[Coding]) -> Self {
        let places = std::thread::available_parallelism().map_or(1, NonZero::get);
        let used = configured.iter().copied().filter(|coding| is_built_in(*coding)).collect();
        Codings { used, places: Arc::new(Semaphore::new(places)) }
    }
}

/// The coded bytes of one answer, each made when first asked for; `None` where they are not worth it.
#[derive(Debug, Default)]
pub(crate) struct Coded([OnceCell<Option<Bytes>>; 3]);

impl Coded {
    /// The answer's bytes in this coding.
    pub(crate) async fn get(
        &self,
        coding: Coding,
        plain: &Rope,
        codings: &Codings,
    ) -> Option<Bytes> {
        if plain.len() <= PLAIN_BYTES_MAX {
            return None;
        }
        let [gzip, br, zstd] = &self.0;
        let cell = match coding {
            Coding::Gzip => gzip,
            Coding::Br => br,
            Coding::Zstd => zstd,
        };
        cell.get_or_init(|| encoded(coding, plain.clone(), Arc::clone(&codings.places)))
            .await
            .clone()
    }
}

/// How much may be kept of an answer in so many codings, beside its plain bytes.
pub(crate) fn bytes_max(plain: usize, codings: usize) -> usize {
    plain / WORTH * codings
}

async fn encoded(coding: Coding, plain: Rope, places: Arc<Semaphore>) -> Option<Bytes> {
    // Never closed; were it, the plain bytes would do.
    let place = places.acquire_owned().await.ok()?;
    let worth = bytes_max(plain.len(), 1);
    let coded = tokio::task::spawn_blocking(move || {
        let coded = encode(coding, &plain);
        drop(place);
        coded
    });
    // One that failed, or panicked, is no reason to fail: the plain bytes are the answer as well.
    let mut coded = coded.await.ok()?.ok()?;
    coded.shrink_to_fit();
    (coded.len() <= worth).then(|| Bytes::from(coded))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use domain::sweep::Part;

    use super::*;

    fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
            #[cfg(feature = "codings")]
            Coding::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap(),
            #[cfg(feature = "codings")]
            Coding::Zstd => {
                plain = zstd::bulk::decompress(bytes, 64 << 20).unwrap();
                plain.len()
            }
            #[cfg(not(feature = "codings"))]
            Coding::Br | Coding::Zstd => panic!("{coding:?} is not built in"),
        };
        plain
    }

    #[tokio::test]
    async fn an_answer_is_coded_once_and_only_where_it_is_worth_it() {
        let codings = Codings::new(&Coding::ALL);
        let plain = Bytes::from("{\"name\":\"somebody\",\"id\":7},".repeat(5000));
        let coded = Coded::default();
        let rope = Rope::from(plain.clone());
        for coding in codings.used.iter().copied() {
            let first = coded.get(coding, &rope, &codings).await.unwrap();
            assert!(first.len() < plain.len() / 20, "{coding:?}: {}", first.len());
            assert_eq!(decode(coding, &first), plain, "{coding:?}");
            let second = coded.get(coding, &rope, &codings).await.unwrap();
            assert_eq!(first.as_ptr(), second.as_ptr(), "{coding:?}: coded twice");
        }
        let short = Rope::from(Bytes::from(vec![b'a'; PLAIN_BYTES_MAX]));
        // Bytes that look like noise to every coding.
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..20_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let noise = Rope::from(Bytes::from(noise));
        for coding in Coding::ALL {
            assert!(Coded::default().get(coding, &short, &codings).await.is_none(), "{coding:?}");
            assert!(Coded::default().get(coding, &noise, &codings).await.is_none(), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_of_several_pieces_is_coded_as_one() {
        let codings = Codings::new(&Coding::ALL);
        let page = ",{\"name\":\"somebody\",\"id\":7}".repeat(3000).into_bytes();
        let rope = Rope::of_list("[", vec![Part::of(page.clone()), Part::of(page)], "]");
        assert!(rope.pieces().len() > 2);
        for coding in codings.used.iter().copied() {
            let bytes = Coded::default().get(coding, &rope, &codings).await.unwrap();
            assert_eq!(decode(coding, &bytes), rope.joined(), "{coding:?}");
        }
    }

    #[test]
    fn a_coding_that_is_not_built_in_is_never_used() {
        let used = Codings::new(&[Coding::Zstd, Coding::Gzip, Coding::Br]).used;
        let expected: &[Coding] = match cfg!(feature = "codings") {
            true => &[Coding::Zstd, Coding::Gzip, Coding::Br],
            false => &[Coding::Gzip],
        };
        assert_eq!(*used, *expected);
    }

    #[test]
    fn a_tag_tells_the_coding() {
        let plain = HeaderValue::from_static("\"abc\"");
        let tags = Coding::ALL.map(|coding| tag(coding, &plain).unwrap());
        assert_eq!(tags, ["\"abc-gzip\"", "\"abc-br\"", "\"abc-zstd\""]);
    }
}
