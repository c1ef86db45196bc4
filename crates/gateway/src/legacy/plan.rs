//! Legacy parameters become a plan in hub words. Every parameter is used or reported as ignored.

use domain::legacy::Planned;
use domain::params::NearMiss;
use domain::plan::{GroupName, Plan};

use super::asked::Asked;
use crate::caller::Callers;
use crate::error::Error;

/// What a legacy request asks for; `None` where no row can fit it. Its parameters are used up.
///
/// # Errors
/// If it says in two ways which part of a list it wants.
pub(crate) fn plan(
    asked: &mut Asked,
    callers: &Callers,
) -> Result<Option<Box<Plan<GroupName>>>, Error> {
    let params = std::mem::take(&mut asked.params);
    let filters = asked.endpoint.filters();
    let filters: Vec<&'static str> = filters.filter(|name| params.has_filter(name)).collect();
    let endpoint = asked.endpoint;
    let fit = |names: &[String]| -> (Vec<String>, Vec<NearMiss>) {
        let near = names.iter().filter_map(|name| endpoint.near_miss(name));
        (names.iter().map(|name| fit_for_log(name, callers)).collect(), near.collect())
    };
    let (plan, (ignored, near_misses)) = match asked.endpoint.plan(params, &asked.quirks) {
        Planned::Unclear => return Err(Error::Contradiction),
        Planned::Nobody { ignored } => (None, fit(&ignored)),
        Planned::Ask(plan) => {
            let ignored = fit(&plan.ignored);
            (Some(plan), ignored)
        }
    };
    asked.behalf.account.note(|account| {
        account.filters = filters;
        account.ignored = ignored;
        account.near_misses = near_misses;
    });
    Ok(plan)
}

/// From this length on a text of digits and capitals may be a key.
const KEY_CHARS_MIN: usize = 12;

/// The name of an ignored parameter as a log may show it. Clients put keys in odd
/// places: known keys, mistyped ones and the upstream's. So a name is left out if it is long, has odd
/// characters, is a known key, or mixes characters as a key does.
fn fit_for_log(name: &str, callers: &Callers) -> String {
    let is_mark = |c: char| "_-.[]".contains(c);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || is_mark(c);
    let is_word = |c: char| c.is_ascii_lowercase() || is_mark(c);
    let is_fit = match name.len() {
        0..KEY_CHARS_MIN => name.chars().all(is_plain),
        KEY_CHARS_MIN..=24 => name.chars().all(is_word),
        _ => false,
    };
    if is_fit && !callers.knows(name) { name.to_owned() } else { "(unprintable)".to_owned() }
}
