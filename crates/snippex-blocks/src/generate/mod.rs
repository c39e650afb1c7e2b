//! Generation: blocks made from the instruction set instead of from a binary.
//!
//! Real programs contain few of the instructions there are. [`Form::all`] lists every instruction form the decoder
//! knows, [`generate_blocks`] makes blocks of it that vary operands, addressing, immediates and prefixes, alone and in random
//! sequences, and [`Coverage`] says which forms a [`GenerationRequest`] reaches and why others are left out. What is generated
//! goes the same way as blocks of a binary from here on; start states come from [`snippex_core::seed`] in its style for
//! corners ([`snippex_core::seed::Style::Corners`]).
//!
//! Nothing here knows which processor is at hand: a block that an engine lacks the features for is found out where it
//! is run. So the same request gives the same blocks everywhere.

mod corner_coverage;
mod coverage;
mod encode;
mod form;
mod immediates;
mod memory_operand;
mod operands;
mod placed;
mod prefixes;
mod refused;
mod request;
mod sequence;
mod sequence_coverage;
mod single;
mod stage;

pub use corner_coverage::{Reached, StartRequest};
pub use coverage::{Coverage, ExtensionCoverage, FormFate, RefusedCoverage};
pub use form::{Form, Skip};
pub use request::{GenerationRequest, RequestError, Sequences};
pub use sequence_coverage::SequenceCoverage;
pub use stage::Stage;

use snippex_core::block::Block;

/// The blocks of `request`, in ascending order of address. The same request gives the same blocks everywhere.
#[must_use]
pub fn generate_blocks(request: &GenerationRequest) -> Vec<Block> {
    let mut blocks: Vec<Block> = request
        .forms()
        .filter(|form| form.skip_reason().is_none())
        .flat_map(|form| of_form(request, form))
        .collect();
    blocks.sort_by_key(|block| block.address);
    blocks
}

/// The blocks of one form, stage by stage: of single instructions, some of them across a line
/// and a page, the encodings next to it that processors refuse, sequences.
#[must_use]
pub fn of_form(request: &GenerationRequest, form: Form) -> Vec<Block> {
    if let Sequences::Only(length) = request.sequences {
        return sequence::generate_long_sequences(request, form, length);
    }
    let mut blocks = single::generate_form_blocks(request, form);
    blocks.extend(placed::generate_placed_blocks(request, form));
    blocks.extend(refused::generate_refused_encodings(request, form));
    if request.sequences == Sequences::Short {
        blocks.extend(sequence::generate_short_sequences(request, form));
    }
    blocks
}

/// The form that a generated block stands for, by where it lies.
#[must_use]
pub fn form_of(block: &Block) -> Option<Form> {
    Stage::of_block(block).form_at(block.address)
}

#[cfg(test)]
mod tests;
