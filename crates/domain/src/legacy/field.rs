//! The legacy fields.

/// A legacy field, whatever an endpoint calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldId {
    /// The number of a user.
    Id,
    /// The display name of a user.
    Name,
    /// The e-mail address of a user.
    Email,
    /// The SIP account of a user.
    SipAccount,
    /// The name of a user's security access group.
    Group,
    /// The extension of a user.
    Extension,
    /// The caller id of a user, or the group it belongs to.
    CallerId,
    /// The time zone of a user.
    TimeZone,
    /// The ringtone of a user.
    Ringtone,
    /// The teams that a user is a member of.
    Teams,
    /// The teams that a user supervises.
    SupervisedTeams,
    /// The skills of a user.
    Skills,
    /// The queues of a user.
    Queues,
    /// The employee id of a user.
    EmployeeId,
    /// The digital channels of a user.
    Channels,
    /// The number that a deleted user had.
    DeletedUserId,
    /// The name that a deleted user had.
    DeletedUserName,
    /// The number of a team.
    TeamId,
    /// The name of a team.
    TeamName,
}
