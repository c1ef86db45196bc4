//! The paths of the User Admin API. Only splits and decodes; other files check what exists.

/// The ways to name a single user in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// `userId`, in lower case.
    Id(String),
    /// `username`
    Username(String),
    /// `agentDisplayId`
    AgentDisplayId(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Groups,
    Skills,
    CallbackNumbers,
    GroupPermissions,
    QueuePermissions,
}

/// The requested thing. Ids are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Users,
    User(By),
    OfUser(String, Part),
    Groups,
    Group(String),
    UsersOfGroup(String),
    Skills,
    UsersOfSkill(String),
    Queues,
    CallbackNumbers,
}

/// Makes a route of the value in a path.
type Make = fn(String) -> Route;

/// Every path below `/useradmin/`, with a name in the place of its value, and its route.
#[rustfmt::skip]
const ROUTES: [(&str, Make); 16] = [
    ("/useradmin/users", |_| Route::Users),
    ("/useradmin/users/by/username/{username}", |name| Route::User(By::Username(name))),
    ("/useradmin/users/by/agentDisplayId/{agentDisplayId}", |id| Route::User(By::AgentDisplayId(id))),
    ("/useradmin/users/{userId}", |id| Route::User(By::Id(id))),
    ("/useradmin/users/{userId}/groups", |id| Route::OfUser(id, Part::Groups)),
    ("/useradmin/users/{userId}/skills", |id| Route::OfUser(id, Part::Skills)),
    ("/useradmin/users/{userId}/callbackNumbers", |id| Route::OfUser(id, Part::CallbackNumbers)),
    ("/useradmin/users/{userId}/permissions/groups", |id| Route::OfUser(id, Part::GroupPermissions)),
    ("/useradmin/users/{userId}/permissions/queues", |id| Route::OfUser(id, Part::QueuePermissions)),
    ("/useradmin/groups", |_| Route::Groups),
    ("/useradmin/groups/{groupId}", Route::Group),
    ("/useradmin/groups/{groupId}/users", Route::UsersOfGroup),
    ("/useradmin/skills", |_| Route::Skills),
    ("/useradmin/skills/{skillId}/users", Route::UsersOfSkill),
    ("/useradmin/queues", |_| Route::Queues),
    ("/useradmin/callbackNumbers", |_| Route::CallbackNumbers),
];

impl Route {
    pub(crate) fn of(path: &str) -> Option<Route> {
        let (kind, route) = row(path)?;
        let named = kind.split('/').zip(path.split('/')).find(|(name, _)| name.starts_with('{'));
        let Some((name, segment)) = named else { return Some(route(String::new())) };
        let value = value(segment)?;
        let is_id = !matches!(name, "{username}" | "{agentDisplayId}");
        Some(route(if is_id { value.to_ascii_lowercase() } else { value }))
    }

    /// The path without its value, if its value can be read.
    pub(crate) fn kind(path: &str) -> Option<&'static str> {
        Route::of(path)?;
        row(path).map(|(kind, _)| kind)
    }
}

fn row(path: &str) -> Option<(&'static str, Make)> {
    let is_it = |kind: &str| {
        let both = || kind.split('/').zip(path.split('/'));
        kind.split('/').count() == path.split('/').count()
            && both().all(|(name, segment)| name.starts_with('{') || name == segment)
    };
    ROUTES.into_iter().find(|(kind, _)| is_it(kind))
}

/// A segment with its percent escapes decoded. A plus stays a plus, because this is not a form.
fn value(segment: &str) -> Option<String> {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_paths_are_exact() {
        let by_name = |name: &str| Some(Route::User(By::Username(name.to_owned())));
        assert_eq!(Route::of("/useradmin/users/by/username/a%40b.example"), by_name("a@b.example"));
        assert_eq!(Route::of("/useradmin/users/by/username/a+b%2Fc"), by_name("a+b/c"));
        let upper = Route::of("/useradmin/users/8E22B1FE-D2EA");
        assert_eq!(upper, Some(Route::User(By::Id("8e22b1fe-d2ea".to_owned()))));
        for path in [
            "/useradmin/users/",
            "/useradmin/Users",
            "/useradmin//users",
            "/useradmin/users/by/username/",
            "/useradmin/users/by/username/%4",
            "/useradmin/users/by/username/%FF",
            "/useradmin/users/x/schedules",
            "/useradmin/skills/x",
            "/users",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
