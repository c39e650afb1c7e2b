//! Blocks of x86-64 code, machine states, cases, observations and their comparison.
//!
//! ```
//! use snippex_core::block::Terminator;
//! use snippex_core::effects::BlockEffects;
//! use snippex_core::extract::extract;
//! use snippex_core::binary::Image;
//!
//! let file = std::fs::read("/bin/true")?;
//! let image = Image::parse(&file)?;
//! let blocks = extract(&image);
//! let returning = blocks.iter().filter(|block| block.terminator == Terminator::Ret).count();
//! println!("{} blocks, {returning} of them return", blocks.len());
//! if let Some(block) = blocks.get(0) {
//!     println!("the first has {} instructions", BlockEffects::new(&block).instruction_count());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate is the pure part of snippex: it does no IO, reads no clock and no environment and starts no thread. Data
//! flows one way:
//!
//! ```text
//! binary -> extract -> select -> (seed) case -> (run elsewhere) observation -> diff
//! ```
//!
//! [`binary`] reads files, [`extract`] finds blocks or [`generate`] makes them, [`select`] chooses; [`seed`] makes start states; [`block`],
//! [`case`], [`group`], [`state`] and [`observation`] are the nouns; [`effects`] knows what the manuals leave open and
//! [`diff`] compares under that; [`signature`] names what differs and [`cause`] sorts it into bugs; [`codec`] gives everything bytes
//! and names; [`conformance`] has tests that are whole programs. Running is for `snippex-exec`.

pub mod address_space;
pub mod binary;
pub mod block;
pub mod case;
pub mod cause;
pub mod codec;
pub mod conformance;
pub mod decode;
pub mod diff;
pub mod effects;
pub mod extract;
pub mod generate;
pub mod group;
pub mod lower;
pub mod observation;
pub mod random;
pub mod reduce;
pub mod repro;
pub mod ruling;
pub mod seed;
pub mod select;
pub mod signature;
pub mod snip;
pub mod state;
