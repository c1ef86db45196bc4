//! Questions for values that few records have, and that programs often compare or escape in a way of their own:
//! groups whose name begins another's, zones with several names, signs in addresses, zeros in front, accents.

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::KeyPlace;

use super::{Group, Making, distinct, rank, sample};
use crate::letters::plain;
use crate::zone;

/// The most further values of a filter with few of them.
const FEW_MAX: usize = 10;
/// Signs that mean something in a query.
const SIGNS: [char; 6] = ['+', '&', '%', '#', ';', '='];
/// The filters whose values may have such signs.
const SIGNED: [&str; 4] = ["email", "name", "sag", "sip_account"];

impl Making<'_> {
    /// The place of a filter among those of the endpoint.
    fn place(&self, filter: &str) -> Option<usize> {
        self.endpoint.filters.iter().position(|known| *known == filter)
    }

    fn values(&self, filter: &str) -> BTreeMap<&str, u64> {
        self.place(filter).map(|place| distinct(self.control, place)).unwrap_or_default()
    }

    /// The value with the first rank that is as wanted.
    fn value(&self, filter: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let values = self.values(filter);
        let fit = values.keys().filter(|value| wanted(value));
        fit.min_by_key(|value| rank(self.seed, value)).map(|value| (*value).to_owned())
    }

    pub(super) fn rare(&mut self) {
        self.few("sag");
        self.few("timezone");
        self.signs();
        self.zones();
        for filter in ["extension", "sip_account", "caller_id"] {
            let zeros = |value: &str| value.starts_with('0') && value.len() > 1;
            if let Some(value) = self.value(filter, zeros) {
                let id = format!("zeros/{filter}/without");
                let bare = value.trim_start_matches('0');
                if !bare.is_empty() {
                    self.add(Group::Spelling, &id, &[(filter, bare)]);
                }
                self.add(Group::Filter, &format!("zeros/{filter}"), &[(filter, &value)]);
            }
        }
        let digits = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(value) =
            self.value("extension", |value| digits(value) && !value.starts_with('0'))
        {
            let padded = format!("0{value}");
            self.add(Group::Spelling, "zeros/extension/with", &[("extension", &padded)]);
        }
        for filter in ["name", "sag"] {
            // One question has such a value as it is already.
            let first = self.values(filter).into_keys().find(|value| !value.is_ascii());
            let first = first.map(str::to_owned);
            let wanted = |value: &str| plain(value) != value && Some(value) != first.as_deref();
            if let Some(value) = self.value(filter, wanted) {
                let id = format!("accents/{filter}");
                self.add(Group::Spelling, &id, &[(filter, &plain(&value))]);
                self.add(Group::Filter, &format!("{id}/as written"), &[(filter, &value)]);
            }
        }
        if let Some(value) = self.value("id", digits) {
            let padded = format!("00{value}");
            self.add(Group::Spelling, "zeros/id", &[("id", &padded)]);
        }
        if let (Some(_), Some(id)) = (self.place("id"), self.control.deleted.clone()) {
            self.add(Group::Unknown, "unknown/id of a deleted user", &[("id", &id)]);
        }
        self.forms();
    }

    /// Every value of a filter with few of them; first those that begin another one.
    fn few(&mut self, filter: &str) {
        let values: Vec<String> = self.values(filter).into_keys().map(str::to_owned).collect();
        let begins = |value: &String| {
            let lower = value.to_lowercase();
            values.iter().any(|other| other != value && other.to_lowercase().starts_with(&lower))
        };
        let mut all: Vec<&String> = values.iter().collect();
        all.sort_by_cached_key(|value| (!begins(value), rank(self.seed, value)));
        for (number, value) in all.into_iter().take(FEW_MAX).enumerate() {
            self.add(Group::Filter, &format!("few/{filter}/{}", number + 1), &[(filter, value)]);
        }
    }

    /// Values of records with signs that mean something in a query.
    fn signs(&mut self) {
        for filter in SIGNED {
            let mut asked = BTreeSet::new();
            for sign in SIGNS {
                let Some(value) = self.value(filter, |value| value.contains(sign)) else {
                    continue;
                };
                if asked.insert(value.clone()) {
                    let id = format!("sign/{filter}/{}", asked.len());
                    self.add(Group::Odd, &id, &[(filter, &value)]);
                }
            }
        }
    }

    /// The other names of a zone that has several, and its id.
    fn zones(&mut self) {
        let several = self.value("timezone", |value| zone::names(value) > 1);
        let single = self.value("timezone", |value| zone::names(value) == 1);
        for (number, value) in several.into_iter().chain(single).enumerate() {
            for (other, name) in zone::all_names(&value).into_iter().enumerate() {
                if name != value {
                    let id = format!("zone/{}/{}", number + 1, other + 1);
                    self.add(Group::Spelling, &id, &[("timezone", name)]);
                }
            }
        }
    }

    /// A filter in brackets, twice, and with the key in the other place.
    fn forms(&mut self) {
        let Some(place) = self.place("name") else { return };
        let Some(value) = sample(self.control, place, 1, self.seed).pop() else { return };
        let brackets = match self.endpoint.bracketed {
            true => (Group::Written, "written"),
            false => (Group::Unprinted, "unprinted"),
        };
        let list = (Group::Written, "written");
        for (name, (group, kind)) in [("filter[name]", brackets), ("name[]", list)] {
            let form = self.add(group, &format!("{kind}/{name}"), &[("name", &value)]);
            form.ask.query = vec![(name.to_owned(), value.clone())];
        }
        let asked = sample(self.control, place, 3, self.seed);
        let other = self.value("name", |value| !asked.iter().any(|known| known == value));
        if let Some(other) = &other {
            let two = [("name", value.as_str()), ("name", other)];
            self.add(Group::Unprinted, "unprinted/two values of name", &two);
        }
        let value = other.unwrap_or(value);
        let twice = vec![("name".to_owned(), value.clone()); 2];
        self.add(Group::Written, "written/name twice", &[("name", &value)]).ask.query = twice;
        let other = match self.endpoint.key {
            KeyPlace::Bearer => KeyPlace::Query,
            _ => KeyPlace::Bearer,
        };
        self.add(Group::Written, "written/key elsewhere", &[("name", &value)]).ask.key = other;
    }
}
