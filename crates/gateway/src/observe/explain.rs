//! How an answer came about, for a caller that may know.

use domain::ledger;
use domain::loss::{Loss, Status};
use serde_json::{Map, Value, json};
use shadow::Side;

use super::account::{Account, Source};
use super::tally::Tally;

/// One line of JSON.
pub(crate) fn explanation(account: &Account) -> String {
    if account.answered_by == Some(Side::Control) {
        return of_control(account).to_string();
    }
    let notes: Map<String, Value> = account
        .story
        .notes
        .iter()
        .map(|(note, count)| (note.to_owned(), Value::from(count)))
        .collect();
    json!({
        "endpoint": account.endpoint,
        "caller": account.caller.as_deref().map(Tally::name),
        "dialect": account.dialect,
        "filters": account.filters,
        "ignored_parameters": account.ignored,
        "rows": account.rows,
        "source": account.source.map(Source::as_str),
        "streamed": account.is_streamed,
        "upstream_calls": account.upstream_calls,
        "pages": account.story.pages,
        "pages_unchanged": account.story.pages_unchanged,
        "joined_pages": account.joined_pages,
        "seams_repaired": account.story.seams_repaired,
        "read_again": account.story.restarts,
        "failed_page": account.failed_page.map(|page| json!({
            "offset": page.offset,
            "rows": page.limit,
        })),
        "total_mismatch": account.story.total_mismatch,
        "hidden_rows": account.story.hidden_rows,
        "defaulted_fields": fields(account, Status::Defaulted),
        "unavailable_fields": fields(account, Status::Unavailable),
        "notes": notes,
    })
    .to_string()
}

/// Nothing was translated: what is known is who asked, and who answered.
fn of_control(account: &Account) -> Value {
    json!({
        "endpoint": account.endpoint,
        "caller": account.caller.as_deref().map(Tally::name),
        "answered_by": account.answered_by.map(Side::as_str),
    })
}

/// The fields that the ledger says this of, for the endpoint and the upstream of a request.
fn fields(account: &Account, status: Status) -> Vec<&'static str> {
    let of = |loss: &Loss| {
        account.endpoint == Some(loss.endpoint)
            && account.dialect == Some(loss.dialect)
            && loss.status == status
    };
    ledger::rows().filter(of).map(|loss| loss.field).collect()
}
