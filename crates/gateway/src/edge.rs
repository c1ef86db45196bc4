//! What every request passes, whatever it asks for: layers around all answers, and the first steps.

pub(crate) mod admit;
pub(crate) mod cors;
pub(crate) mod describe;
pub(crate) mod openapi;
pub(crate) mod part;
pub(crate) mod rescue;
pub(crate) mod shed;
pub(crate) mod sunset;
pub(crate) mod trace;
pub(crate) mod untranslated;
pub(crate) mod wrong_keys;
