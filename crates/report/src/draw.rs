//! A report as an HTML file, as JUnit, as JSON and as text for a terminal.
//!
//! Everything is drawn from [`Report`](crate::Report) alone. Its texts may come from anywhere, so they are
//! always shown as text: markup, control characters and changes of direction have no effect.

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
