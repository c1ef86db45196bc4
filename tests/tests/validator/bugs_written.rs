//! Forms of a request that some clients use, each of which one gateway does not know.

use tests::mutate::{Asked, Change};

use crate::bugs_answers::error;
use crate::case::{Case, TEAMS, V1, V3, bug};

/// Requests of this form are refused.
fn refused(status: u16, has_form: fn(&Asked) -> bool) -> Change {
    Change::answer(move |asked, reply| {
        if has_form(asked) {
            error(reply, status, "Not found");
        }
    })
}

/// Bodies of this type are not read.
fn unread(kind: &'static str) -> Change {
    Change::asked(move |asked| {
        asked.body.take_if(|(of, _)| of.as_bytes().ends_with(kind.as_bytes()));
    })
}

/// Each form by itself.
pub(crate) fn forms() -> Vec<Case> {
    let status: &[&str] = &["$status"];
    let records: &[&str] = &["$records"];
    vec![
        bug("a path that begins with two slashes is not known", V1, status, |_| {
            refused(404, |asked| asked.path.starts_with("//"))
        }),
        bug("a path with a slash at its end is not known", V3, status, |_| {
            refused(404, |asked| asked.path.ends_with('/'))
        }),
        bug("a path that ends in .json is not known", TEAMS, status, |_| {
            refused(404, |asked| asked.path.ends_with(".json"))
        }),
        bug("a path with a needless escape is not known", V1, status, |_| {
            refused(404, |asked| asked.path.contains('%'))
        }),
        bug("letters that are not escaped are refused", V1, status, |_| {
            refused(400, |asked| !asked.raw_query.is_ascii())
        }),
        bug("a key beside Basic is refused", V3, status, |_| {
            refused(400, |asked| {
                asked.authorization.as_deref().is_some_and(|it| it.starts_with("Basic"))
            })
        }),
        bug("a filter with an index is ignored", V1, records, |_| {
            Change::asked(|asked| asked.query.retain(|(name, _)| name != "name[0]"))
        }),
        bug("filters in a JSON body are ignored", V1, records, |_| unread("/json")),
        bug("filters in a form are ignored", V3, records, |_| unread("-urlencoded")),
    ]
}
