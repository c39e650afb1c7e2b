//! Generation: blocks made from the instruction set instead of from a binary.
//!
//! Real programs contain few of the instructions there are. [`Form::all`] lists every instruction form the decoder
//! knows, [`generate_blocks`] makes blocks of it that vary operands, addressing, immediates and prefixes, alone or in random
//! sequences, and [`Coverage`] says which forms a [`GenerationRequest`] reaches and why others are left out. What is generated
//! goes the same way as blocks of a binary from here on; start states come from [`snippex_core::seed`] in its style for
//! corners ([`snippex_core::seed::Style::Corners`]).
//!
//! Nothing here knows which processor is at hand: a block that an engine lacks the features for is found out where it
//! is run. So the same request gives the same blocks everywhere.

mod coverage;
mod encode;
mod form;
mod immediates;
mod memory_operand;
mod operands;
mod prefixes;
mod refused;
mod request;
mod sequence;
mod single;

pub use coverage::{Coverage, ExtensionCoverage, FormFate, RefusedCoverage};
pub use form::{Form, Skip};
pub use request::{GenerationRequest, RequestError};

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

/// The blocks of one form: of single instructions with the encodings next to it that processors refuse, or sequences.
#[must_use]
pub fn of_form(request: &GenerationRequest, form: Form) -> Vec<Block> {
    match request.sequence {
        None => {
            let mut blocks = single::generate_form_blocks(request, form);
            blocks.extend(refused::generate_refused_encodings(request, form));
            blocks
        }
        Some(length) => sequence::generate_sequences(request, form, length),
    }
}

/// The form that a generated block stands for, by where it lies.
#[must_use]
pub fn form_of(block: &Block) -> Option<Form> {
    let number = match block.address {
        sequence::START.. => (block.address - sequence::START) / sequence::FORM_STRIDE,
        refused::START.. => (block.address - refused::START) / refused::FORM_STRIDE,
        _ => block.address / single::FORM_STRIDE,
    };
    Form::from_number(number)
}

#[cfg(test)]
mod tests;
