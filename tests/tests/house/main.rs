//! The statements of the tree about itself: the house rules, and the page of errors. These tests read files alone,
//! so that nothing of the gateway is linked into them.

mod circles;
mod compiler;
mod errors_page;
mod programs;
mod tidy;
mod vendor_facts;
