//! Messages that were written beforehand, for the channels and teams that the vendor's page shows.

use serde::Serialize;

use super::record::Named;

/// More than one page of the v4 face.
const MESSAGES: u64 = 230;

/// A canned message as the v4 face prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CannedMessage {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) body: String,
    pub(crate) channels: Vec<&'static str>,
    pub(crate) teams: Vec<Named>,
}

impl CannedMessage {
    /// All of them, for these teams.
    pub(crate) fn all(teams: &[Named]) -> Vec<CannedMessage> {
        let of = |number: u64| {
            let channels: &[&str] = match number % 5 {
                0 => &["whatsapp", "telegram"],
                1 => &["sms"],
                2 => &["sms", "whatsapp", "telegram"],
                3 => &["viber", "sms"],
                _ => &[],
            };
            let is_its = |team: &&Named| !number.is_multiple_of(7) && team.id % 7 == number % 7;
            CannedMessage {
                id: 10 + number,
                name: format!("Template \"{number}\""),
                body: format!("Hello,\nyour number is {number}."),
                channels: channels.to_vec(),
                teams: teams.iter().filter(is_its).cloned().collect(),
            }
        };
        (0..MESSAGES).map(of).collect()
    }
}
