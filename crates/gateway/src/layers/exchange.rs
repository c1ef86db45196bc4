//! A page in hub words becomes an HTTP exchange, and its answer rows. Refusals are read here, and
//! pages strictly; a page that cannot be used never becomes an empty one.

use bytes::Bytes;
use domain::page::{Shape, read_groups, read_rows, read_users};
use domain::plan::Groups;
use domain::upstream::{PageError, Refusal};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use std::sync::PoisonError;
use tower::{BoxError, Service, ServiceExt};

use crate::call::{Ask, Attempt, PageCall, PageRead, visibility};
use crate::caller::KeyState;
use crate::error::Error;

pub(crate) async fn exchange<S>(_: (), inner: S, page: PageCall) -> Result<PageRead, BoxError>
where
    S: Service<Attempt, Response = Response<Bytes>, Error = BoxError> + Clone,
{
    let caller = &page.list.caller;
    if let Some(state) = caller.fresh_refusal() {
        return Err(refused(state).into());
    }
    let filter = page.list.ask.filter();
    let request = caller.upstream.dialect.page_request(filter, page.window);
    let attempt = Attempt {
        caller: caller.clone(),
        target: request.target.into(),
        accept: request.accept,
        deadline: page.list.deadline,
    };
    let answer = inner.oneshot(attempt).await?;
    if let Some(error) = refusal(&page, answer.status()) {
        return Err(error.into());
    }
    if !is_json(&answer) {
        return Err(Error::BadType.into());
    }
    let read = read(&page, answer.body())?;
    caller.note_acceptance();
    Ok(read)
}

fn read(page: &PageCall, body: &[u8]) -> Result<PageRead, Error> {
    let upstream = &page.list.caller.upstream;
    let (dialect, rules) = (upstream.dialect, &upstream.rules);
    let read = match &page.list.ask {
        Ask::Rows(ask) => {
            let shape = Shape {
                endpoint: ask.endpoint,
                quirks: &ask.quirks,
                filter: &ask.plan.filter,
                visibility: visibility(&page.list),
            };
            read_rows(dialect, body, rules, shape)
                .map(|rows| PageRead { rows, groups: Groups::default() })
        }
        Ask::Groups => read_groups(dialect, body, rules, visibility(&page.list))
            .map(|(rows, groups)| PageRead { rows, groups }),
        Ask::Survey(survey) => {
            let mut survey = survey.lock().unwrap_or_else(PoisonError::into_inner);
            read_users(dialect, body, &survey.rules(rules), &mut |user| survey.note(user))
                .map(|rows| PageRead { rows, groups: Groups::default() })
        }
    };
    read.map_err(|error| match error {
        PageError::Schema(error) => Error::Schema { dialect: dialect.name(), error },
        PageError::Refused(refusal) => named(page, refusal),
    })
}

/// A refusal by status. What a client filtered by may be refused with it; anything else in the 400s
/// is our own mistake.
fn refusal(page: &PageCall, status: StatusCode) -> Option<Error> {
    match status {
        StatusCode::OK => None,
        StatusCode::UNAUTHORIZED => Some(named(page, Refusal::Unauthorized)),
        StatusCode::FORBIDDEN => Some(named(page, Refusal::Forbidden)),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if is_filtered(page) => {
            Some(Error::BadFilter)
        }
        status if status.is_redirection() => Some(Error::Redirect),
        status => Some(Error::RefusedCall { status: status.as_u16() }),
    }
}

fn named(page: &PageCall, refusal: Refusal) -> Error {
    let note = |state| {
        page.list.caller.note_refusal(state);
        refused(state)
    };
    match refusal {
        Refusal::Unauthorized => note(KeyState::Refused),
        // A firewall may forbid what a client filtered by; that says nothing about the key.
        Refusal::Forbidden if is_filtered(page) => Error::Forbidden,
        Refusal::Forbidden => note(KeyState::Forbidden),
        Refusal::NotFound => Error::RefusedCall { status: 404 },
        Refusal::RateLimited => Error::RateLimited { retry_after: std::time::Duration::ZERO },
    }
}

fn refused(state: KeyState) -> Error {
    if state == KeyState::Forbidden { Error::Forbidden } else { Error::MappedKeyRefused }
}

/// Whether anything a client filtered by went upstream.
fn is_filtered(page: &PageCall) -> bool {
    page.list.ask.filter().is_some_and(|filter| {
        let texts = [filter.name(), filter.email(), filter.sip_account(), filter.extension()];
        let one_group = filter.group().is_some_and(|group| group.ids().len() == 1);
        one_group || texts.iter().any(Option::is_some)
    })
}

/// JSON by its own word; an answer that says nothing is taken at its bytes.
fn is_json(answer: &Response<Bytes>) -> bool {
    let Some(kind) = answer.headers().get(CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}
