//! What extraction, filters and selection ask about single instructions, answered from tables by iced-x86 code.
//!
//! A thin layer over the decoder: how control leaves an instruction, whether a block with it can be run, and which
//! kind of instruction it is. Does not know flags or operands' effects (see `effects`).

mod control;
mod control_words;
mod encoding_layout;
mod kind;
mod machine_part;
mod refused;
mod runnable;

pub use control::{Control, control_flow};
pub use control_words::{loads_mxcsr, loads_x87_control, loads_x87_status, stores_control_words};
pub use encoding_layout::{EncodingLayout, EncodingPrefix};
pub use kind::{Kinds, accesses_memory, instruction_kind, locks_memory};
pub use machine_part::{MachinePart, machine_part};
pub use refused::{
    BlockInstruction, MAX_LENGTH, Refusal, block_instructions, decode_leniently, instructions_in,
    measure_refused, refused_bytes, refused_reason, refused_text,
};
pub use runnable::{differs_by_vendor, is_reserved, loads_segment, unrunnable_form, unrunnable_reason};

use iced_x86::{Decoder, DecoderOptions};

use crate::block::Block;

/// Bits of the mode that code is decoded in. All code is 64-bit code today; what decodes does so through this file, so
/// that another mode has one place to come in.
const MODE: u32 = 64;

/// A decoder over `bytes`, which lie at `address`: as Intel's processors read them.
#[must_use]
pub fn intel_decoder(bytes: &[u8], address: u64) -> Decoder<'_> {
    Decoder::with_ip(MODE, bytes, address, DecoderOptions::NONE)
}

/// A decoder over `bytes`, which lie at `address`: as AMD's processors read them.
#[must_use]
pub fn amd_decoder(bytes: &[u8], address: u64) -> Decoder<'_> {
    Decoder::with_ip(MODE, bytes, address, DecoderOptions::AMD)
}

/// A decoder over `bytes`, which lie at `address`, that minds no reserved bit: as careless engines read them.
#[must_use]
pub fn lenient_decoder(bytes: &[u8], address: u64) -> Decoder<'_> {
    Decoder::with_ip(MODE, bytes, address, DecoderOptions::NO_INVALID_CHECK)
}

/// A decoder over the code of `block`, at the address that it has in its file.
#[must_use]
pub fn block_decoder(block: &Block) -> Decoder<'_> {
    intel_decoder(&block.bytes, block.address)
}
