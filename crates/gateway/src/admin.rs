//! What operators and the system do to a running gateway: the admin pages, another configuration, the
//! watch over memory and over the door.

pub(crate) mod door;
pub(crate) mod memory;
pub(crate) mod pages;
pub(crate) mod reload;
