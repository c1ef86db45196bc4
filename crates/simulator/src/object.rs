//! JSON objects for answers. The members keep their order, and a name may occur twice, as in the vendor's
//! samples; a map would lose both.

use serde::{Serialize, Serializer};
use serde_json::Value;

#[derive(Default)]
pub(crate) struct Object(Vec<(&'static str, Member)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Member {
    Plain(Value),
    Object(Object),
    List(Vec<Object>),
}

impl Object {
    pub(crate) fn with(self, name: &'static str, value: impl Into<Value>) -> Object {
        self.member(name, Member::Plain(value.into()))
    }

    /// The member is absent where there is no value.
    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Into<Value>>) -> Object {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn object(self, name: &'static str, value: Object) -> Object {
        self.member(name, Member::Object(value))
    }

    pub(crate) fn list(self, name: &'static str, rows: Vec<Object>) -> Object {
        self.member(name, Member::List(rows))
    }

    /// With the members of another object behind its own.
    pub(crate) fn and(mut self, other: Object) -> Object {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn member(mut self, name: &'static str, value: Member) -> Object {
        self.0.push((name, value));
        self
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
