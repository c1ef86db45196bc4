//! The names of fields that may be shown. A member of an answer may have any name, even a key or a person's
//! name, so it must never show a name that is not known beforehand.

use std::collections::BTreeSet;

use domain::legacy::schema::{Kind, Property};
use domain::legacy::{ENDPOINTS, envelope};
use domain::quirks::Quirks;

/// The judges' names for parts of an answer that are not fields of a record.
const PARTS: [&str; 12] = [
    "$body",
    "$copies",
    "$envelope",
    "$error",
    "$header.content-type",
    "$header.location",
    "$header.retry-after",
    "$header.www-authenticate",
    "$members",
    "$order",
    "$records",
    "$status",
];
/// Stands for any other name.
const UNKNOWN: &str = "(unknown field)";

/// The known names of an endpoint.
#[derive(Debug)]
pub(crate) struct Fields(BTreeSet<String>);

impl Fields {
    pub(crate) fn of(endpoint: &str) -> Self {
        let mut known = BTreeSet::new();
        let endpoint = ENDPOINTS.iter().find(|known| known.name() == endpoint);
        if let Some(endpoint) = endpoint {
            add(&mut known, "", &endpoint.schema(&Quirks::default()).fields);
        }
        Fields(known)
    }

    /// The path of a field, if every name in it is known.
    pub(crate) fn shown<'a>(&self, path: &'a str) -> &'a str {
        let is_around =
            path.strip_prefix("$envelope.").is_some_and(|name| envelope::NAMES.contains(&name));
        let is_known = is_around || PARTS.contains(&path) || self.0.contains(path);
        if is_known { path } else { UNKNOWN }
    }
}

fn add(known: &mut BTreeSet<String>, before: &str, fields: &[Property]) {
    for field in fields {
        let path = format!("{before}{}", field.name);
        if let Kind::List(inner) = field.kind {
            add(known, &format!("{path}[]."), inner);
            known.insert(format!("{path}[]"));
        }
        known.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l04_a_name_that_is_not_known_beforehand_is_not_shown() {
        let fields = Fields::of("v1_users");
        for known in [
            "timezone",
            "assigned_teams",
            "assigned_channels",
            "assigned_channels[]",
            "assigned_channels[].type",
            "$status",
            "$copies",
            "$header.content-type",
            "$envelope.metadata",
        ] {
            assert_eq!(fields.shown(known), known);
        }
        for any in [
            "legacy-demo-key",
            "jane.doe-canary",
            "12025550123",
            "assigned_channels[].jane",
            "assigned_channels.type",
            "timezone.jane",
            "$jane",
            "$header.jane",
            "$envelope.u_12025559999",
            "$envelope.metadata.jane",
            "",
        ] {
            assert_eq!(fields.shown(any), UNKNOWN, "{any}");
        }
        assert_eq!(Fields::of("v2_cdr_teams").shown("timezone"), UNKNOWN);
    }
}
