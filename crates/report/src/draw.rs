//! A report as people and programs read it: an HTML file, JUnit, JSON and text for a terminal.
//!
//! Everything is drawn from [`Report`](crate::Report) alone. Whatever its texts hold, they
//! are shown and never obeyed: no markup, no control character, no change of direction.

mod html;
mod json;
mod junit;
mod numbers;
mod settings;
mod terminal;
pub mod text;
mod words;

pub use html::html;
pub use json::json;
pub use junit::junit;
pub use terminal::terminal;
