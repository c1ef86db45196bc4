//! What operators and the system do to a gateway: the admin pages, another configuration, the watch over
//! memory and over the door, and a survey of what its upstreams list.

pub(crate) mod console;
pub(crate) mod door;
pub(crate) mod guard;
pub(crate) mod memory;
pub(crate) mod pages;
pub(crate) mod reload;
pub(crate) mod replicas;
pub mod survey;
