//! What is asked: the parameters of a legacy request, the plan they make, and what a caller may see of it. Must
//! never lose a filter on the way.

pub mod params;
pub mod plan;
pub mod slice;
pub mod visibility;
