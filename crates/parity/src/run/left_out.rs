//! What a plan leaves out of what could be asked, so that a verdict says how far it goes.

use super::Plan;
use crate::cause::Index;
use crate::endpoint::{ENDPOINTS, Endpoint};
use crate::report::LeftOut;
use crate::scenario::{Extent, Group, Scenario, questions};

/// What is known before anything is asked.
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

impl LeftOut {
    /// Notes of the questions to an endpoint how many fewer there are than by default.
    pub(crate) fn note(
        &mut self,
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
        self.values += fewer(Group::Filter);
        self.pairs += fewer(Group::Pair);
    }
}
