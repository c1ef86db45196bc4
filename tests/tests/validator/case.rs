//! One case of the catalogue: what is planted, where, and what a validation must say of it.

use report::Cause;
use simulator::Simulator;
use tests::mutate::Change;

pub(crate) const V1: &str = "v1_users";
pub(crate) const V3: &str = "v3_cdr_users";
pub(crate) const TEAMS: &str = "v2_cdr_teams";
pub(crate) const DELETED: &str = "v2_cdr_deleted_agents";

/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Before the gateway: it answers as a wrong translation would.
    Candidate,
    /// Before the legacy API: it answers by another quirk, or is busy.
    Control,
    /// Between the gateway and the new API: that holds something else.
    Upstream,
}

/// What stands behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// Voiso, with a list of teams.
    Voiso,
    /// Voiso without one, so that teams are taken from the users.
    VoisoWithoutTeams,
    /// Voiso again, but a validation cannot ask it: as for a gateway that runs elsewhere.
    VoisoUnseen,
    /// Vonage, with ids that are hashes. Only the planted fields are looked at, the others are left
    /// out: each of them is a case of its own.
    Vonage,
    /// The same with the old ids, by a table.
    VonageMapped,
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What is planted, in one sentence.
    pub(crate) name: &'static str,
    /// The endpoint that is asked.
    pub(crate) endpoint: &'static str,
    /// Where it stands.
    pub(crate) side: Side,
    /// What is behind.
    pub(crate) vendor: Vendor,
    /// Where a finding is no false alarm: fields, or parts of an answer that begin with `$`.
    pub(crate) planted: &'static [&'static str],
    /// Just these causes must be found, no other and not one less.
    pub(crate) causes: &'static [Cause],
    /// Whether all questions are asked, and not only the first ones.
    pub(crate) asks_everything: bool,
    /// The change; it may need the data behind both sides.
    pub(crate) plant: fn(&Simulator) -> Change,
}

impl Case {
    /// Whether it is a translation bug; everything else is harmless.
    pub(crate) fn is_bug(&self) -> bool {
        self.causes == [Cause::Bug]
    }

    /// The same over another vendor.
    pub(crate) fn over(self, vendor: Vendor) -> Case {
        Case { vendor, ..self }
    }
}

/// A translation bug.
pub(crate) fn bug(
    name: &'static str,
    endpoint: &'static str,
    planted: &'static [&'static str],
    plant: fn(&Simulator) -> Change,
) -> Case {
    Case { side: Side::Candidate, ..harmless(&[Cause::Bug], name, endpoint, planted, plant) }
}

/// Something that only looks like one.
pub(crate) fn harmless(
    causes: &'static [Cause],
    name: &'static str,
    endpoint: &'static str,
    planted: &'static [&'static str],
    plant: fn(&Simulator) -> Change,
) -> Case {
    let (side, vendor) = (Side::Control, Vendor::Voiso);
    Case { name, endpoint, side, vendor, planted, causes, asks_everything: false, plant }
}

/// The new API holds something else.
pub(crate) fn upstream(
    causes: &'static [Cause],
    name: &'static str,
    endpoint: &'static str,
    planted: &'static [&'static str],
    plant: fn(&Simulator) -> Change,
) -> Case {
    Case { side: Side::Upstream, ..harmless(causes, name, endpoint, planted, plant) }
}
