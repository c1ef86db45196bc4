//! Which default questions a plan leaves out, so that the verdict says what it covers.

use corpus::endpoint::{ENDPOINTS, Endpoint};
use report::LeftOut;

use super::Plan;
use crate::filter::Index;
use crate::scenario::{Extent, Group, Scenario, questions};

/// What a plan leaves out before anything is asked.
pub(crate) fn planned(plan: &Plan) -> LeftOut {
    let is_asked =
        |endpoint: &&Endpoint| plan.endpoints.iter().any(|one| one.name == endpoint.name);
    let unasked = ENDPOINTS.iter().filter(|endpoint| !is_asked(endpoint));
    let fields = plan.ignored.iter().map(|(endpoint, field)| format!("{endpoint}.{field}"));
    LeftOut {
        endpoints: unasked.map(|endpoint| endpoint.name.to_owned()).collect(),
        fields: fields.collect(),
        ..LeftOut::default()
    }
}

pub(crate) fn note(
    left_out: &mut LeftOut,
    plan: &Plan,
    endpoint: &'static Endpoint,
    listed: &Index,
    asked: &[Scenario],
) {
    let by_default = Extent::default();
    let is_less = plan.extent.values_per_filter < by_default.values_per_filter
        || !plan.extent.pairs && by_default.pairs;
    if plan.questions.is_none() && !is_less {
        return;
    }
    let all = questions(endpoint, listed, by_default, plan.seed);
    let fewer = |group: Group| {
        let count = |of: &[Scenario]| of.iter().filter(|one| one.group == group).count();
        count(&all).saturating_sub(count(asked)) as u64
    };
    left_out.values += fewer(Group::Filter);
    left_out.pairs += fewer(Group::Pair);
}
