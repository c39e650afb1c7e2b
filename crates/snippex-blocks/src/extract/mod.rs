//! Finds the blocks of an [`Image`] by control flow.
//!
//! Second stage of the flow. Recursive descent starts at everything the file says is code, follows branches, calls
//! and jump tables, and goes on behind a call only when the callee can return; a linear sweep fills what is left
//! (unless that may be bytecode of .NET) and marks it as [`Origin::Sweep`](snippex_core::block::Origin::Sweep). Time is linear in the size of the code, memory
//! one byte for each byte of code plus 16 bytes a block.
//!
//! ```no_run
//! use snippex_blocks::{binary::Image, extract::extract_blocks};
//!
//! let data = std::fs::read("/bin/bash")?;
//! let image = Image::parse(&data)?;
//! for block in extract_blocks(&image).iter().take(10) {
//!     println!("{:#x}: {} bytes, {:?}", block.address, block.bytes.len(), block.terminator);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where that gives two ways to read the same bytes, the more doubtful one is taken back.
//!
//! NOPs that align the code behind a branch belong to no block: the fall-through successor of a block is the
//! address of the NOPs, and the next block begins behind them.
//!
//! Does not do: running anything, data flow beyond what jump tables need, self-modifying or packed code.

mod bound;
mod call;
mod code;
mod contradiction;
mod function;
mod history;
mod index;
mod jump_table;
mod noreturn;
mod plausible;
#[cfg(feature = "capstone")]
mod second_opinion;
mod seeds;
mod sweep;
mod trace;

pub use index::{BlockEntry, BlockIndex, Statistics};
#[cfg(feature = "capstone")]
pub use second_opinion::{Disagreement, SecondOpinion, second_opinion};

use crate::binary::Image;

/// Times that guesses lead to new guesses. Real programs need two or three; a hostile one could need as many as it
/// has functions, and each looks at all tables.
const ROUNDS: u32 = 32;

/// Finds all blocks of `image`.
#[must_use]
pub fn extract_blocks<'i, 'a>(image: &'i Image<'a>) -> BlockIndex<'i, 'a> {
    let mut tracer = trace::Tracer::new(image);
    seeds::trace_declared_code(&mut tracer);
    tracer.trace_queued();
    for _ in 0..ROUNDS {
        // Guesses only once everything certain is known: each may rule the other out.
        let tables = tracer.follow_unbounded_tables();
        tracer.trace_queued();
        let taken = seeds::address_taken(&mut tracer);
        if !tables && !taken {
            break;
        }
    }
    contradiction::resolve_contradictions(&mut tracer);
    if !image.holds_bytecode() {
        sweep::sweep_gaps(&mut tracer);
    }
    index::build_index(tracer)
}
