//! Limits on how much is done at once, how often and for how long; pauses; and values that are read
//! once for all that wait.
//!
//! Must never know a protocol, a caller or an upstream: times, counts and errors come in as arguments.

mod admission;
mod audience;
mod blocking;
mod breaker;
mod budget;
mod delays;
mod flight;
mod kept;
mod lifecycle;
mod lines;
mod pacer;
mod pause;
mod recent;
mod room;
pub mod whose;

pub use admission::{Admission, Queue, Shed};
pub use audience::{Audience, LOOK_INTERVAL, may_stay};
pub use blocking::{LARGE_BYTES, blocking};
pub use breaker::{Breaker, BreakerRules, BreakerState, Entry, Outcome};
pub use budget::{Budget, CALLER_REPEATS_MIN};
pub use delays::{Delay, Delays};
pub use flight::{Lead, Panicked, Reading, reading};
pub use kept::{Aged, Ages, Kept};
pub use lifecycle::{Level, Lifecycle};
pub use lines::Lines;
pub use pacer::Pacer;
pub use pause::Pause;
pub use room::{Full, Holding, Lent, Room, Share};
