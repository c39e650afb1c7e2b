//! Instructions whose own bytes lie across a line of 64 bytes, or across a page.

use snippex_core::block::{Block, Terminator};
use snippex_core::decode::{Control, control_flow};
use snippex_core::random::Random;

use super::form::Form;
use super::operands::{Choice, Registers};
use super::request::GenerationRequest;
use super::single::{build_block, generate_instruction};
use super::stage::Stage;

/// Sub-stream of the seed that these come from.
const STREAM: u64 = 0x706c_6163_6564_0000;
/// Boundaries from where a form's blocks begin, each with the variant of the form that lies across it: one with registers
/// across a line, one with memory across a page.
const BOUNDARIES: [(u64, u32); 2] = [(0x840, 2), (0x2000, 3)];
const ATTEMPTS: u64 = 8;

/// An instruction of `form` across each boundary. One of a single byte lies across none.
pub(super) fn generate_placed_blocks(request: &GenerationRequest, form: Form) -> Vec<Block> {
    let blocks = BOUNDARIES.into_iter().filter_map(|(offset, variant)| {
        let stream = Random::new(request.seed).derive_stream(&[STREAM, form.code() as u64, offset]);
        let boundary = Stage::Placed.form_start(form) + offset;
        (0..ATTEMPTS).find_map(|attempt| across(form, variant, boundary, &stream.derive_stream(&[attempt])))
    });
    blocks.collect()
}

fn across(form: Form, variant: u32, boundary: u64, stream: &Random) -> Option<Block> {
    let registers = Registers {
        choice: Choice::Any,
        bases: &[],
    };
    let at = |address: u64| {
        let mut random = stream.derive_stream(&[]);
        generate_instruction(form, variant, address, &registers, &mut random)
    };
    let (_, first) = at(boundary)?;
    let address = boundary - first.len() as u64 / 2;
    let (instruction, bytes) = at(address)?;
    let end = address + bytes.len() as u64;
    let terminator = match control_flow(&instruction) {
        Control::Next => Terminator::FallThrough,
        Control::End(terminator) => terminator,
    };
    (address < boundary && boundary < end).then(|| build_block(address, bytes, 1, terminator))
}
