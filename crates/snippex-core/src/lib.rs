//! Blocks of x86-64 code, machine states, cases, observations and their comparison.
//!
//! The crate is the pure part of snippex: it does no IO, reads no clock and no environment and starts no
//! thread. Data flows one way:
//!
//! ```text
//! binary -> extract -> select -> (seed) case -> (run elsewhere) observation -> diff
//! ```

pub mod address_space;
pub mod binary;
pub mod block;
pub mod case;
pub mod codec;
pub mod decode;
pub mod diff;
pub mod effects;
pub mod extract;
pub mod group;
pub mod observation;
pub mod random;
pub mod seed;
pub mod select;
pub mod state;
