//! The facts of a dialect's vendor: limits, scope, roles, and the defaults of an upstream.
//!
//! The configuration and the rest of the gateway know a vendor by these facts alone.

use crate::id::{PolicyName, Unnumbered};
use crate::sweep::Paging;

/// The facts of one dialect.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Name in configuration, ledger, logs and metrics, such as `voiso-v4`.
    pub name: &'static str,
    /// Rows one page may have.
    pub page_rows_max: u32,
    /// How pages of a list are asked for.
    pub paging: Paging,
    /// Bytes that a page may have where the configuration does not say.
    pub page_bytes_max: usize,
    /// Requests per minute where the configuration does not say; `None` is no limit.
    pub requests_per_minute_max: Option<u32>,
    /// The credential a caller needs.
    pub credential: Credential,
    /// The scope that the credential needs.
    pub scope: &'static str,
    /// The id policies that suit the vendor's ids; the first is the default.
    pub id_policies: &'static [PolicyName],
    /// The default rule for users without a number, under an id policy that has gaps.
    pub unnumbered: Unnumbered,
    /// Whether the table `mapping` chooses among the vendor's fields.
    pub has_mapping: bool,
    /// The vendor's fixed roles, which `mapping.sag` may rename; empty where groups are free.
    pub roles: &'static [&'static str],
}

impl Facts {
    /// The id policy where the configuration does not say.
    pub fn id_policy(&self) -> PolicyName {
        self.id_policies.first().copied().unwrap_or_default()
    }
}

/// The kind of credential that a caller shows its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A key, as Bearer.
    Key,
    /// Id and secret of an OAuth client, for which a token is fetched.
    Client,
}
