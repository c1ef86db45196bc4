//! What an answer looks like, as data: for the description of the API, never for rendering. The tests
//! hold every golden answer to it.

use crate::quirks::Envelope;

/// The shape of an endpoint's answers under its quirks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The fields of one record, all of them always there, in answer order.
    pub fields: Vec<Field>,
    /// What the records are wrapped in.
    pub envelope: Envelope,
}

impl Shape {
    /// Records in a bare array.
    pub fn array(fields: Vec<Field>) -> Self {
        Shape { fields, envelope: Envelope::Array }
    }
}

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What that means, in a sentence.
    pub says: &'static str,
}

impl Field {
    /// A field.
    pub fn new(name: &'static str, kind: Kind, says: &'static str) -> Self {
        Field { name, kind, says }
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    List(Vec<Field>),
}

#[cfg(test)]
mod tests {
    use crate::legacy::{ENDPOINTS, Planned};
    use crate::params::Params;
    use crate::quirks::Quirks;

    #[test]
    fn a_shape_has_the_fields_of_its_endpoint_in_their_order() {
        for endpoint in ENDPOINTS {
            let shape = endpoint.shape(&Quirks::default());
            let names: Vec<_> = shape.fields.iter().map(|field| field.name).collect();
            assert_eq!(names, endpoint.fields(), "{}", endpoint.name());
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
                    };
                    let is_used = ignored.is_empty();
                    assert_eq!(is_used, endpoint.filters().contains(name), "{name}");
                }
            }
        }
    }
}
