//! Where blocks of x86-64 code come from: programs, or the instruction set itself.
//!
//! ```
//! use snippex_blocks::binary::Image;
//! use snippex_blocks::extract::extract_blocks;
//! use snippex_core::block::Terminator;
//! use snippex_core::effects::BlockEffects;
//!
//! let file = std::fs::read("/bin/true")?;
//! let image = Image::parse(&file)?;
//! let blocks = extract_blocks(&image);
//! let returning = blocks.iter().filter(|block| block.terminator == Terminator::Ret).count();
//! println!("{} blocks, {returning} of them return", blocks.len());
//! if let Some(block) = blocks.get(0) {
//!     println!("the first has {} instructions", BlockEffects::new(&block).instruction_count());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`binary`] reads ELF and PE images as the loader sees them, [`extract`] finds their blocks by control flow, and
//! [`select`] filters and chooses; [`generate`] makes blocks from the instruction set. What an instruction is and does
//! is said by `snippex-core`; files are read by the caller: this crate does no IO, and starts no thread.

pub mod binary;
pub mod extract;
pub mod generate;
pub mod select;
