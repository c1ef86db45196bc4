//! Tests of the forms of a report through their public interface.

mod draw;
mod support;
