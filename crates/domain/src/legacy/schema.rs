//! The schema of an answer, for the description of the API and never for rendering. The tests hold
//! every golden answer to it.

use super::envelope::Member;

/// The schema of an endpoint's answers under its quirks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The fields of one record in answer order; every record has all of them.
    pub fields: Vec<Property>,
    /// The members around the records; none where the list is a bare array.
    pub members: &'static [Member],
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name on the wire.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// Its meaning, in a sentence.
    pub meaning: &'static str,
}

/// The kind of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number, not negative.
    Number,
    /// The same, or null.
    NumberOrNull,
    /// Text, perhaps empty.
    Text,
    /// The same, or null.
    TextOrNull,
    /// A whole number where the text is one; else text or null.
    NumberOrTextOrNull,
    /// Objects with these fields, perhaps none.
    List(&'static [Property]),
}

#[cfg(test)]
mod tests {
    use crate::asked::params::Params;
    use crate::legacy::{ENDPOINTS, Planned};
    use crate::quirks::Quirks;

    #[test]
    fn a_schema_has_the_fields_of_its_endpoint_in_their_order() {
        for endpoint in ENDPOINTS {
            let schema = endpoint.schema(&Quirks::default());
            let names: Vec<_> = schema.fields.iter().map(|field| field.name).collect();
            assert_eq!(names, endpoint.fields().collect::<Vec<_>>(), "{}", endpoint.name());
        }
    }

    #[test]
    fn just_the_filters_an_endpoint_names_are_used_in_both_spellings() {
        let all = ENDPOINTS.iter().flat_map(|endpoint| endpoint.filters());
        let all: std::collections::BTreeSet<_> = all.collect();
        assert_eq!(all.len(), 8);
        for endpoint in ENDPOINTS {
            for name in &all {
                for spelled in [(*name).to_string(), format!("filter[{name}]")] {
                    let params = Params::parse(&format!("{spelled}=1"));
                    let ignored = match endpoint.plan(params, &Quirks::default()) {
                        Planned::Ask(plan) => plan.ignored,
                        Planned::Nobody { ignored } => ignored,
                        Planned::Unclear => panic!("{name}"),
                    };
                    let is_used = ignored.is_empty();
                    let is_named = endpoint.filters().any(|filter| filter == *name);
                    assert_eq!(is_used, is_named, "{name}");
                }
            }
        }
    }
}
