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

/// A list that belongs to one user.
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

impl Route {
    /// The route of a path, if there is one.
    pub(crate) fn of(path: &str) -> Option<Route> {
        let segments: Vec<&str> = path.strip_prefix("/useradmin/")?.split('/').collect();
        let id = |text: &str| value(text).map(|id| id.to_ascii_lowercase());
        Some(match *segments {
            ["users"] => Route::Users,
            ["users", "by", "username", name] => Route::User(By::Username(value(name)?)),
            ["users", "by", "agentDisplayId", wanted] => {
                Route::User(By::AgentDisplayId(value(wanted)?))
            }
            ["users", user] => Route::User(By::Id(id(user)?)),
            ["users", user, "groups"] => Route::OfUser(id(user)?, Part::Groups),
            ["users", user, "skills"] => Route::OfUser(id(user)?, Part::Skills),
            ["users", user, "callbackNumbers"] => Route::OfUser(id(user)?, Part::CallbackNumbers),
            ["users", user, "permissions", "groups"] => {
                Route::OfUser(id(user)?, Part::GroupPermissions)
            }
            ["users", user, "permissions", "queues"] => {
                Route::OfUser(id(user)?, Part::QueuePermissions)
            }
            ["groups"] => Route::Groups,
            ["groups", group] => Route::Group(id(group)?),
            ["groups", group, "users"] => Route::UsersOfGroup(id(group)?),
            ["skills"] => Route::Skills,
            ["skills", skill, "users"] => Route::UsersOfSkill(id(skill)?),
            ["queues"] => Route::Queues,
            ["callbackNumbers"] => Route::CallbackNumbers,
            _ => return None,
        })
    }

    /// The path without its values.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Route::Users => "/useradmin/users",
            Route::User(By::Id(_)) => "/useradmin/users/{userId}",
            Route::User(By::Username(_)) => "/useradmin/users/by/username/{username}",
            Route::User(By::AgentDisplayId(_)) => {
                "/useradmin/users/by/agentDisplayId/{agentDisplayId}"
            }
            Route::OfUser(_, Part::Groups) => "/useradmin/users/{userId}/groups",
            Route::OfUser(_, Part::Skills) => "/useradmin/users/{userId}/skills",
            Route::OfUser(_, Part::CallbackNumbers) => "/useradmin/users/{userId}/callbackNumbers",
            Route::OfUser(_, Part::GroupPermissions) => {
                "/useradmin/users/{userId}/permissions/groups"
            }
            Route::OfUser(_, Part::QueuePermissions) => {
                "/useradmin/users/{userId}/permissions/queues"
            }
            Route::Groups => "/useradmin/groups",
            Route::Group(_) => "/useradmin/groups/{groupId}",
            Route::UsersOfGroup(_) => "/useradmin/groups/{groupId}/users",
            Route::Skills => "/useradmin/skills",
            Route::UsersOfSkill(_) => "/useradmin/skills/{skillId}/users",
            Route::Queues => "/useradmin/queues",
            Route::CallbackNumbers => "/useradmin/callbackNumbers",
        }
    }
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
