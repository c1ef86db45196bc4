//! Tags of the new API's answers, and the answer to a client that has the page already.
//!
//! A tag depends only on the body, as in Rails: the same page has the same tag for every caller. Only a fault makes a
//! tag that lies. Must never change an answer that is not 200.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Uri};

use crate::answer::Answer;
use crate::settings::Tags;

/// What Rails says beside a tag.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");

/// The answer with its tag, or 304 if the client has it already.
pub(crate) fn tagged(answer: Answer, tags: Tags, uri: &Uri, asked: &HeaderMap) -> Answer {
    let weak = match tags {
        Tags::None => return answer,
        Tags::Weak => "W/",
        Tags::Strong => "",
    };
    if answer.status != 200 {
        return answer;
    }
    let mut hasher = DefaultHasher::new();
    if answer.tag_lies {
        uri.to_string().hash(&mut hasher);
    } else {
        answer.body.hash(&mut hasher);
    }
    let tag = format!("{weak}\"{:016x}\"", hasher.finish());
    let has_it = |known: &HeaderValue| {
        let known = known.to_str().unwrap_or_default();
        // The comparison of this header is the weak one.
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        known.split(',').any(|known| known.trim() == "*" || opaque(known.trim()) == opaque(&tag))
    };
    let is_known = asked.get_all(IF_NONE_MATCH).iter().any(has_it);
    let Ok(tag) = HeaderValue::from_str(&tag) else { return answer };
    let mut answer = answer.header(ETAG, tag).header(CACHE_CONTROL, ASK_AGAIN);
    if is_known {
        (answer.status, answer.body) = (304, Bytes::new());
    }
    answer
}
