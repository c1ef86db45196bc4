//! The user record as the v4 face prints it.
//!
//! Fields have the order of the documented sample, because serialization follows it. The legacy face
//! reads the same structs. Nothing here may be shared with the code under test: if both sides had one
//! struct, a wrong field name would pass every test.

use std::borrow::Cow;

use serde::Serialize;

/// Text, mostly from the static word lists, sometimes generated or edited.
pub type Text = Cow<'static, str>;

/// A thing with a number and a name: a group, a team, a queue or a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub id: u64,
    /// The display name; not unique.
    pub name: Text,
}

/// The sound played on an incoming call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ringtone {
    /// Always `ringtone` in the documentation.
    #[serde(rename = "type")]
    pub kind: Text,
    pub name: Text,
}

/// How many conversations of each kind a user takes at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capacity {
    pub chat: u32,
    pub instant: u32,
}

/// One digital channel assigned to a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelProfile {
    pub id: u64,
    /// The slug, e.g. `whatsapp`.
    pub channel: Text,
    /// A phone number, a page id, a handle, or nothing.
    pub identifier: Option<Text>,
    /// The name the administrator gave it.
    pub name: Text,
}

/// A skill and the level the user has in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkillLevel {
    pub skill: Named,
    /// 1 to 10.
    pub value: u32,
}

/// One user of the contact center, in the v4 shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Decimal in v4, but printed as a string; the store keeps it a number.
    #[serde(serialize_with = "as_text")]
    pub id: u64,
    /// Display name; not unique.
    pub name: Text,
    /// Sign-in address.
    pub email: Text,
    /// `username@domain` of the softphone.
    pub sip_account: Option<Text>,
    /// Internal extension; a text, because it may begin with 0.
    pub extension: Option<Text>,
    /// The caller ID shown outside.
    pub caller_id: Option<Text>,
    /// Free text of the customer.
    pub employee_id: Option<Text>,
    /// An IANA id or, in old records, a Rails name.
    pub timezone: Option<Text>,
    pub security_access_group: Option<Named>,
    /// Teams the user belongs to.
    pub teams: Vec<Named>,
    pub supervised_teams: Vec<Named>,
    /// Queues the user answers.
    pub queues: Vec<Named>,
    pub supervised_queues: Vec<Named>,
    pub webrtc_ringtone: Option<Ringtone>,
    /// Slugs of the kinds of work the user may do; includes `voice`.
    pub channels: Vec<Text>,
    pub channel_group_capacity: Capacity,
    pub channel_profiles: Vec<ChannelProfile>,
    /// Language of speech analysis.
    pub speech_language: Option<Text>,
    pub skills: Vec<SkillLevel>,
    /// `available`, `offline`, ...
    pub status: Option<Text>,
    /// RFC 3339 with milliseconds.
    pub created_at: Text,
    /// RFC 3339 with milliseconds.
    pub updated_at: Text,
    /// When the user was deleted; the legacy face decides whether it counts.
    pub deleted_at: Option<Text>,
}

fn as_text<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl User {
    /// The user of the vendor's v4 page (`GET /api/v4/users`), with its masked addresses filled in.
    pub fn documented_sample() -> User {
        let support = || Named { id: 3, name: "Multilingual Support".into() };
        let queue = || Named { id: 1, name: "Technical Support".into() };
        let moment = || Text::from("2025-11-11T12:00:00.216Z");
        User {
            id: 1234,
            name: "Jane Doe".into(),
            email: "jane.doe@example.com".into(),
            sip_account: Some("jane.doe@sip.example.com".into()),
            extension: Some("102".into()),
            caller_id: Some("12025550123".into()),
            employee_id: Some("E-482".into()),
            timezone: Some("America/New_York".into()),
            security_access_group: Some(Named { id: 3, name: "Boarding".into() }),
            teams: vec![support()],
            supervised_teams: vec![support()],
            queues: vec![queue()],
            supervised_queues: vec![queue()],
            webrtc_ringtone: Some(Ringtone {
                kind: "ringtone".into(),
                name: "Bells (Default)".into(),
            }),
            channels: vec!["voice".into(), "chat".into(), "whatsapp".into()],
            channel_group_capacity: Capacity { chat: 5, instant: 3 },
            channel_profiles: vec![ChannelProfile {
                id: 12,
                channel: "whatsapp".into(),
                identifier: Some("18885658889".into()),
                name: "WhatsApp Main (18885658889)".into(),
            }],
            speech_language: Some("en".into()),
            skills: vec![SkillLevel { skill: Named { id: 1, name: "Sales".into() }, value: 5 }],
            status: Some("available".into()),
            created_at: moment(),
            updated_at: moment(),
            deleted_at: Some(moment()),
        }
    }
}
