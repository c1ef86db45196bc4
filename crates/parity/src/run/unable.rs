//! Why a validation could not begin. No message must hold an address, a key or a value.

use corpus::ask::Reply;
use corpus::source::Silence;

use super::Pair;
use crate::list::{KeyedBy, List, NotAList};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    #[error("{side} refuses its key: it answers {status} to {shape}")]
    Refused { side: Side, status: u16, shape: String },
    #[error("{side} answers {status} to {shape}, and the answer {}", why.advice())]
    NoList { side: Side, status: u16, shape: String, why: NotAList },
    #[error(
        "the server at --control is a Tieline gateway itself, by the headers of its answer to \
         {shape}: --control is the vendor's legacy API"
    )]
    Gateway { shape: String },
    #[error(
        "the server at --candidate answers {status} to {shape} and does not look like Tieline: it \
         sends no header x-tieline-error. Is that its address?"
    )]
    NoGateway { status: u16, shape: String },
    #[error(
        "the legacy API answers {status} to {shape}: is that its address? Where it does not have \
         this endpoint, name the others with --endpoint"
    )]
    NotThere { status: u16, shape: String },
    #[error("Tieline answers {status} ({slug}) to {shape}, and cannot be compared")]
    Unfit {
        status: u16,
        /// Its `x-tieline-error`.
        slug: String,
        shape: String,
    },
    #[error("{side} does not answer {shape}: {why}")]
    Silent { side: Side, shape: String, why: Silence },
}

/// One of the two sides, by the name that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Side {
    #[error("the legacy API")]
    Control,
    #[error("Tieline")]
    Candidate,
}

impl Side {
    /// The word in a reason of a report.
    pub(super) fn word(self) -> &'static str {
        match self {
            Side::Control => "control",
            Side::Candidate => "candidate",
        }
    }
}

/// The header that every error of a gateway has.
const SLUG: &str = "x-tieline-error";

/// Why the verdict on a candidate that may be another server is worth nothing.
pub(crate) const NO_GATEWAY: &str = "the server at --candidate does not look like Tieline: it refuses a wrong key \
                          without the header x-tieline-error. Is that its address?";

/// Whether an answer shows that it comes from a gateway.
pub(crate) fn is_of_tieline(reply: &Reply) -> bool {
    reply.headers.iter().any(|(name, _)| name.starts_with("x-tieline-"))
}

fn is_page(reply: &Reply) -> bool {
    reply.body.trim_ascii_start().starts_with(b"<")
}

/// Why the answers for a whole list prove nothing, if they do not.
pub(super) fn unable(pair: &Pair, shape: String) -> Option<Unable> {
    let Pair { control, candidate, .. } = pair;
    for (side, reply) in [(Side::Control, control), (Side::Candidate, candidate)] {
        let status = reply.status;
        if matches!(status, 401 | 403) {
            // A server of another kind refuses every key.
            return Some(match side == Side::Candidate && !is_of_tieline(reply) {
                true => Unable::NoGateway { status, shape },
                false => Unable::Refused { side, status, shape },
            });
        }
        if status < 400
            && let Err(why) = List::read(&reply.body, KeyedBy::Id)
        {
            // Control without a list cannot be compared with. A web page is not a gateway, but an
            // incomplete list is a gateway's mistake.
            if side == Side::Control || status < 300 && is_page(reply) {
                return Some(Unable::NoList { side, status, shape, why });
            }
        }
    }
    if (400..500).contains(&control.status) {
        return Some(Unable::NotThere { status: control.status, shape });
    }
    match (candidate.header(SLUG), candidate.status) {
        (Some(slug), status @ 500..) => {
            Some(Unable::Unfit { status, slug: slug.to_owned(), shape })
        }
        // Another error without the header may be a gateway's mistake, and is a difference.
        (None, status @ 300..500) if is_page(candidate) => {
            Some(Unable::NoGateway { status, shape })
        }
        _ => None,
    }
}
