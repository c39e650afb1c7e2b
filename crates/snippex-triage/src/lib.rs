//! From a divergence to a bug.
//!
//! [`signature`] names what differs at an instruction, [`pattern`] has the sentences of the manual that decide,
//! [`cause`] sorts by them what is one bug, and [`reduce`] proposes plainer cases, which `snippex-exec` runs. Nothing
//! here runs code, does IO or reads a clock.

pub mod cause;
pub mod pattern;
pub mod reduce;
pub mod signature;
