//! Replays the corpora of tests/fuzz, one entry a line.

use super::*;

/// The bytes of a line: a graphic character of ASCII stands for itself, a backslash or another byte is `\xNN`.
fn bytes(line: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), line.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let code = (*first == b'\\').then(|| std::str::from_utf8(&behind[1..3]).unwrap());
        bytes.push(code.map_or(*first, |code| u8::from_str_radix(code, 16).unwrap()));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

fn replay(name: &str, holds: impl Fn(&[u8])) {
    let path = format!("{}/../../tests/fuzz/corpus/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let corpus = std::fs::read_to_string(path).unwrap();
    for line in corpus.lines() {
        holds(&bytes(line));
    }
    assert!(corpus.lines().count() >= 50, "a corpus that is nearly empty proves nothing");
}

#[test]
fn a32_the_corpus_of_http1_has_one_reading_however_it_is_cut() {
    replay("http1", http1_guard);
}

#[test]
fn b16_the_corpus_of_http2_is_admitted_frame_by_frame_however_it_is_cut() {
    replay("http2", http2_admission);
}

#[test]
fn b14_trailers_that_go_on_changing_the_table_are_not_held_back() {
    let mut data = vec![7, 1];
    data.extend_from_slice(&[0, 0, 1, 1, 0x4, 0, 0, 0, 1, 0x82]);
    data.extend_from_slice(&[0xff, 0xff, 0xff, 1, 0x5, 0, 0, 0, 1]);
    data.extend_from_slice(&[0x20; 64 << 10]);
    http2_admission(&data);
}
