//! What extraction, filters and selection ask about single instructions, answered from tables by iced-x86 code.
//!
//! A thin layer over the decoder: how control leaves an instruction, whether a block with it can be run, and which
//! kind of instruction it is. Does not know flags or operands' effects (see `effects`).

mod control;
mod kind;
mod runnable;

pub use control::{Control, control};
pub use kind::{Kinds, accesses_memory, kinds};
pub use runnable::{
    asks_the_machine, differs_by_vendor, is_reserved, loads_segment, unrunnable, unrunnable_form,
};

use iced_x86::{Decoder, DecoderOptions};

/// A 64-bit decoder over `bytes`, which lie at `address`.
#[must_use]
pub fn decoder(bytes: &[u8], address: u64) -> Decoder<'_> {
    Decoder::with_ip(64, bytes, address, DecoderOptions::NONE)
}
