//! Tests of `domain` through its public interface: golden answers, and properties over many histories.

mod expected_lists;
mod golden;
mod moving_lists;
mod narrowing;
mod odd_pages;
mod questions;
mod read_page;
mod support;
mod toy_dialect;
