//! Blocks of x86-64 code, machine states, cases, observations and their comparison.
//!
//! The crate is the pure part of snippex: it does no IO, reads no clock and no environment and starts no thread. Data
//! flows one way:
//!
//! ```text
//! block -> (seed) case -> (run elsewhere) observation -> diff
//! ```
//!
//! [`block`], [`case`], [`group`], [`state`] and [`observation`] are the nouns; [`seed`] makes start states and
//! [`address_space`] says where things lie; [`decode`] says what an instruction is; [`effects`] knows what the manuals
//! leave open and [`diff`] compares under that; [`codec`] gives everything bytes and names; [`lower`] makes a block
//! executable elsewhere; [`random`] is the only source of random numbers.
//!
//! Blocks come from `snippex-blocks`, are run by `snippex-exec`, and what differs becomes a bug in `snippex-triage`.

pub mod address_space;
#[cfg(any(test, feature = "proptest"))]
pub mod arbitrary;
pub mod block;
pub mod case;
pub mod codec;
pub mod decode;
pub mod diff;
pub mod effects;
pub mod extended;
pub mod group;
pub mod host_cpu;
pub mod lower;
pub mod named_bits;
pub mod observation;
pub mod random;
pub mod seed;
pub mod state;
pub mod words;
