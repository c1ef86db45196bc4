//! Why only one side lists a record under a filter.

use std::collections::HashSet;

use super::{Evidence, Judgement, KnownEndpoint, quoted};
use crate::compare::{Kind, RECORDS};
use crate::filter::{Index, MODES, Ways, fits_all, limiting, ways};
use crate::zone;

impl Evidence<'_> {
    /// Judges a record that only one side lists under a filter. `listed` are the keys that control lists.
    pub fn filtered(
        &self,
        kind: Kind,
        key: &str,
        filters: &[(String, String)],
        listed: &HashSet<String>,
    ) -> Judgement {
        let Some(known) = self.known.endpoints.get(self.endpoint.name) else {
            return Judgement::bug("the whole lists are not known");
        };
        let is_in = |index: &Index| index.rows.contains_key(key);
        // The whole lists explain it only if the record is missing, or extra, there as well.
        let in_whole = match (is_in(&known.control), is_in(&known.candidate)) {
            (true, false) => Some(Kind::Missing),
            (false, true) => Some(Kind::Extra),
            _ => None,
        };
        if let (true, Some(judgement)) = (in_whole == Some(kind), known.field(key, RECORDS)) {
            return judgement.clone();
        }
        if kind == Kind::Missing && !is_in(&known.candidate)
            || kind == Kind::Extra && !is_in(&known.control)
        {
            return Judgement::bug("a record that the whole list of the other side does not have");
        }
        let should = fits_all(self.endpoint, &known.candidate, key, filters, self.settings);
        match kind {
            Kind::Missing if should => {
                return Judgement::bug("candidate's own record fits the filter");
            }
            Kind::Extra if !should => {
                return Judgement::bug("candidate's own record does not fit the filter");
            }
            _ => {}
        }
        // The same for every record of the answer, and a long list has many.
        let other = self.mode.get_or_init(|| {
            match self.has_zone_of_several_names(known, filters, listed) {
                true => Some(self.zone_of_several_names()),
                false => self.other_mode(known, filters, listed),
            }
        });
        if let Some(judgement) = other {
            return judgement.clone();
        }
        let differs = filters.iter().find_map(|(filter, _)| {
            let of = |index: &Index| index.value(self.endpoint, key, filter).map(str::to_owned);
            let is_other = of(&known.control) != of(&known.candidate);
            is_other.then(|| known.field(key, filter)).flatten()
        });
        match differs {
            Some(judgement) => Judgement {
                why: format!("the field that is filtered by differs: {}", judgement.why),
                ..judgement.clone()
            },
            None => Judgement::bug("control filters in a way that no setting has"),
        }
    }

    /// Whether control lists just those whose zone has the name that the filter asks for, while its users have
    /// other names of this zone too. The new API has one id for all of these names.
    fn has_zone_of_several_names(
        &self,
        known: &KnownEndpoint,
        filters: &[(String, String)],
        listed: &HashSet<String>,
    ) -> bool {
        let (zones, others): (Vec<_>, Vec<_>) =
            limiting(filters).into_iter().cloned().partition(|(filter, _)| filter == "timezone");
        let [(_, wanted)] = &zones[..] else { return false };
        let zone_of = |key: &str| known.control.value(self.endpoint, key, "timezone");
        let wanted_id = zone::id(wanted);
        let is_same = |name: &str| zone::id(name) == wanted_id;
        let keys = || known.control.rows.keys();
        let names: HashSet<&str> =
            keys().filter_map(|key| zone_of(key)).filter(|name| is_same(name)).collect();
        let of_name = |index: &Index| -> HashSet<String> {
            let fits = |key: &&String| {
                index.value(self.endpoint, key, "timezone") == Some(wanted)
                    && fits_all(self.endpoint, index, key, &others, self.settings)
            };
            index.rows.keys().filter(fits).cloned().collect()
        };
        // Where candidate has the same names, it could have told them apart.
        names.len() > 1
            && of_name(&known.control) == *listed
            && of_name(&known.candidate) != *listed
    }

    /// The setting under which the filters find control's list in control's own data.
    fn other_mode(
        &self,
        known: &KnownEndpoint,
        filters: &[(String, String)],
        listed: &HashSet<String>,
    ) -> Option<Judgement> {
        let filters = limiting(filters);
        let modes = filters.iter().map(|(filter, _)| self.settings.mode(filter));
        let current: Ways =
            modes.filter_map(|mode| MODES.into_iter().find(|one| *one == mode)).collect();
        let mut fit = ways(self.endpoint, &known.control, &filters, listed);
        if fit.contains(&current) {
            // Control filters its own data as candidate is set to.
            return None;
        }
        // Ways that contradict earlier answers come last, then ways that change more settings.
        fit.sort_by_cached_key(|ways| {
            let both = filters.iter().zip(ways);
            let is_against = both.clone().any(|((filter, _), way)| {
                known.ways.get(filter).is_some_and(|fit| !fit.contains(&quoted(way)))
            });
            let changes = ways.iter().zip(&current).filter(|(one, other)| one != other).count();
            (is_against, changes)
        });
        let best = fit.first()?;
        let changed = (0..filters.len()).find(|place| current.get(*place) != best.get(*place))?;
        Some(Judgement::quirk(
            format!("{}.filters", self.table()),
            &filters[changed].0,
            quoted(best[changed]),
            "the legacy API compares this filter in another way",
        ))
    }
}
