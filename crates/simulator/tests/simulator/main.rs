//! Tests of the pretend vendors: each face beside the vendor's pages, and every fault.

mod common;
mod faults;
mod legacy_calls;
mod legacy_face;
mod legacy_teams;
mod sockets;
mod v4_face;
mod vonage_faults;
mod vonage_lists;
mod vonage_token;
mod vonage_users;
