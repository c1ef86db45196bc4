//! The layers that every request passes, whatever it asks for.

pub(crate) mod admit;
pub(crate) mod authenticate;
pub(crate) mod cors;
pub(crate) mod describe;
pub(crate) mod openapi;
pub(crate) mod part;
pub(crate) mod rescue;
pub(crate) mod route;
pub(crate) mod settle;
pub(crate) mod shed;
pub(crate) mod sunset;
pub(crate) mod tenant;
pub(crate) mod trace;
pub(crate) mod translate;
