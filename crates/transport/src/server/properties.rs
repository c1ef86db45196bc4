//! The rules for any bytes of a client, in any cut into reads. tests/fuzz makes such bytes up, and a
//! test of this crate replays what it found. Must never share a rule of framing with the code that is held to account.

mod client;
mod http1;
mod http2;

pub use http1::http1_guard;
pub use http2::http2_admission;

/// Cuts bytes into pieces: into one for 0, else into short ones of many lengths.
fn cut(bytes: &[u8], how: u8) -> Vec<&[u8]> {
    let (mut rest, mut pieces, mut seed) = (bytes, Vec::new(), u32::from(how));
    while !rest.is_empty() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length =
            if how == 0 { rest.len() } else { 1 + (seed >> 16) as usize % usize::from(how) };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

#[cfg(test)]
mod tests;
