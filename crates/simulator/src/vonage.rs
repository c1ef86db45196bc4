//! The face of Vonage Contact Center: the User Admin API, version 4, and its token endpoint.
//!
//! Written only from the vendor's pages and from its public clients. It keeps the oddities of the
//! documented samples: a repeated key, a level that is sometimes a number and sometimes a text, two
//! spellings of one field. Where the vendor is silent, it chooses the form that is hardest to read.

pub(crate) mod identity;
pub(crate) mod index;
mod lists;
mod paging;
mod permissions;
pub(crate) mod route;
pub(crate) mod token;
pub(crate) mod user;
mod users;

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use crate::Simulator;
use crate::answer::Answer;
use crate::fault::Plan;
use crate::locked::lock;
use crate::people::record::User;
use crate::request::credential;
use crate::vonage::paging::Paging;
use crate::vonage::route::{By, Part, Route};
use crate::{dress, voiso};

/// The path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/Auth/connect/token";

/// The one version of the User Admin API.
const V4: &str = "application/vnd.newvoicemedia.v4+json";
/// The beginning of every version of the vendor's APIs.
const VERSIONED: &str = "application/vnd.newvoicemedia.v";

/// Answers a GET for a path under `/useradmin/`. `None` means that no answer ever comes.
pub(crate) fn answer(
    simulator: &Simulator,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> Option<Answer> {
    let settings = &simulator.settings().vonage;
    let known = Route::of(path).filter(|route| settings.skills_list || *route != Route::Skills);
    let Some(route) = known else {
        simulator.counters().with(|stats| stats.useradmin_requests += 1);
        return Some(not_found());
    };
    let parameters: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let paging = Paging::read(&parameters, settings.page_limit_max, simulator.faults().limit_cut);
    let is_users = route == Route::Users;
    if is_users {
        simulator.counters().users_page(query);
    } else {
        simulator.counters().with(|stats| stats.useradmin_requests += 1);
    }
    let offset = paging.as_ref().map_or(0, |paging| paging.offset_asked());
    let plan = simulator.plan(path, is_users.then_some(offset));
    if plan.faults.stall {
        return None;
    }
    let credential = credential(headers);
    let answer = refusal(simulator, credential, &plan).unwrap_or_else(|| {
        let right = match accepted(headers, is_users) {
            Err(refused) => return refused,
            Ok(_) if plan.faults.bare_array => Shape::Flat,
            Ok(shape) => shape,
        };
        match paging {
            Err(refused) => refused,
            Ok(paging) if is_users => users::page(simulator, &parameters, paging, right, &plan),
            Ok(paging) => other(simulator, &route, paging),
        }
    });
    Some(finish(answer, credential, &plan))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As version 4 is documented.
    Enveloped,
    /// A bare array of flat records, as clients found it when they named no version.
    Flat,
}

/// The shape that `Accept` asks for. Only the list of users is known to have had another shape;
/// elsewhere a request without a version gets the documented refusal.
fn accepted(headers: &HeaderMap, is_users: bool) -> Result<Shape, Answer> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let types: Vec<String> = lines
        .flat_map(|line| line.split(','))
        .filter_map(|range| range.split(';').next())
        .map(|kind| kind.trim().to_ascii_lowercase())
        .filter(|kind| !kind.is_empty())
        .collect();
    if types.iter().any(|kind| kind == V4) {
        return Ok(Shape::Enveloped);
    }
    if types.iter().any(|kind| kind.starts_with(VERSIONED)) {
        return Err(refused(400, "Invalid api-version! Valid values: 4"));
    }
    if is_users && types.iter().all(|kind| kind == "*/*") {
        return Ok(Shape::Flat);
    }
    Err(message(400, "Version missing from Accept header!"))
}

/// Refusals that do not depend on the data.
fn refusal(simulator: &Simulator, credential: Option<&str>, plan: &Plan) -> Option<Answer> {
    let client = client(simulator, credential);
    dress::key_refusal(&simulator.faults(), client.as_deref())
        .map(simple)
        .or_else(|| dress::failure(plan, simple))
        .or_else(|| dress::instead(&plan.faults, denied))
}

/// The client of a token that is still valid.
fn client(simulator: &Simulator, credential: Option<&str>) -> Option<String> {
    let mut tokens = lock(&simulator.0.tokens);
    let mut fates = lock(&simulator.0.fates);
    if fates.tokens_die() {
        tokens.clear();
    }
    let client = tokens.client_of(voiso::bearer(credential?)?)?.to_owned();
    fates.let_in();
    Some(client)
}

/// Every endpoint except the list of users.
fn other(simulator: &Simulator, route: &Route, paging: Paging) -> Answer {
    let found = match route {
        Route::User(by) => find(simulator, by, user::whole),
        Route::OfUser(id, part) => find(simulator, &By::Id(id.clone()), |user| match part {
            Part::Groups => lists::groups_of(user, paging),
            Part::Skills => lists::skills_of(user, paging),
            Part::CallbackNumbers => lists::callback_numbers_of(user, paging),
            Part::GroupPermissions => permissions::groups(simulator, user, paging),
            Part::QueuePermissions => permissions::queues(user, paging),
        }),
        Route::Group(id) => lists::group(simulator, id),
        Route::UsersOfGroup(id) => lists::users_of_group(simulator, id, paging),
        Route::UsersOfSkill(id) => lists::users_of_skill(simulator, id, paging),
        Route::Groups => Some(lists::groups(simulator, paging)),
        Route::Skills => Some(lists::skills(simulator, paging)),
        Route::Queues => Some(lists::queues(paging)),
        Route::CallbackNumbers => Some(lists::callback_numbers(simulator, paging)),
        // The list of users has its own shape and faults; see above.
        Route::Users => None,
    };
    found.unwrap_or_else(not_found)
}

/// Looks up a user, archived or not, and answers with the result of `show`.
fn find(simulator: &Simulator, by: &By, show: impl FnOnce(&User) -> Answer) -> Option<Answer> {
    let found = simulator.with_users(|users| match by {
        By::Id(uuid) => {
            let id = lock(&simulator.0.index).id_of(users, uuid)?;
            users.iter().find(|user| user.id == id).cloned()
        }
        By::Username(name) => users.iter().find(|user| user.email == *name).cloned(),
        By::AgentDisplayId(wanted) => {
            let has = |user: &User| {
                identity::vonage_agent_display_id(user).is_some_and(|id| id == *wanted)
            };
            users.iter().find(|user| has(user)).cloned()
        }
    });
    found.map(|user| show(&user))
}

/// The faults that concern the answer as a whole.
fn finish(answer: Answer, credential: Option<&str>, plan: &Plan) -> Answer {
    let told = dress::told(&answer, credential, plan);
    let answer = match told {
        Some(text) => Answer { body: message(answer.status, &text).body, ..answer },
        None => answer,
    };
    dress::pack(answer, plan)
}

/// An answer with this vendor's content type.
fn json(status: u16, body: impl Into<bytes::Bytes>) -> Answer {
    let kind = HeaderValue::from_static("application/json");
    Answer::json(status, body).header(CONTENT_TYPE, kind)
}

/// `{"message": text}`
fn message(status: u16, text: &str) -> Answer {
    json(status, format!("{{\"message\":{}}}", serde_json::Value::from(text)))
}

/// The other documented form of an error.
fn refused(status: u16, text: &str) -> Answer {
    let text = serde_json::Value::from(text);
    let body = format!("{{\"statusCode\":{status},\"error\":\"Bad Request\",\"message\":{text}}}");
    json(status, body)
}

fn denied(status: u16) -> Answer {
    message(status, "Authorization has been denied for this request.")
}

fn not_found() -> Answer {
    message(404, "Not Found")
}

/// An error whose form, but not text, is on the vendor's pages.
fn simple(status: u16) -> Answer {
    let text = match status {
        400 => "Bad Request",
        401 => return denied(401),
        403 => "Forbidden",
        404 => return not_found(),
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "An error has occurred.",
    };
    message(status, text)
}
