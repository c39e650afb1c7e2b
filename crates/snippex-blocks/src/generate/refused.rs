//! Encodings that processors refuse: each form's own, off by one field.
//!
//! An engine that decodes carelessly executes some of them, and others end it. They are made by changing what
//! [`EncodingLayout`] finds in an instruction of the form: LOCK in front of it, another vector length or W, an operand that
//! it does not have, reserved bits and digits, memory for a register, sixteen bytes. What decodes after all is left out,
//! and so is what a careless engine could take for a system call.

use std::collections::BTreeSet;

use iced_x86::EncodingKind;
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::decode::{
    EncodingLayout, EncodingPrefix, MAX_LENGTH, amd_decoder, decode_leniently, intel_decoder, refused_reason,
};
use snippex_core::random::Random;

use super::form::Form;
use super::operands::{Choice, Registers};
use super::request::GenerationRequest;
use super::single::generate_instruction;
use super::stage::Stage;

/// Sub-stream of the seed that these come from.
const STREAM: u64 = 0x7265_6675_7365_6400;
/// Bytes from block to block.
const STRIDE: u64 = 64;
/// Most of a form.
const MOST: usize = (Stage::Refused.form_stride() / STRIDE) as usize;
/// Where bytes are decoded to see what they are; no address decides that.
const START: u64 = Stage::Refused.form_stride();

/// The refused encodings next to instructions of `form`, one with registers and one with memory where it has both
/// (of EVEX, one of them).
pub(super) fn generate_refused_encodings(request: &GenerationRequest, form: Form) -> Vec<Block> {
    let stream = Random::new(request.seed).derive_stream(&[STREAM, form.code() as u64]);
    let registers = Registers {
        choice: Choice::Low,
        bases: &[],
    };
    let mut found = BTreeSet::new();
    let number = form.code() as usize;
    // Of the many forms of EVEX one operand each.
    let variants = match form.code().encoding() {
        EncodingKind::EVEX => number as u32 % 2..number as u32 % 2 + 1,
        _ => 0..2,
    };
    for variant in variants {
        let mut random = stream.derive_stream(&[u64::from(variant)]);
        let made = generate_instruction(form, variant, START, &registers, &mut random);
        if let Some((_, bytes)) = made {
            found.extend(
                changed_encodings(&bytes, number)
                    .into_iter()
                    .map(without_surplus)
                    .filter(|bytes| is_refused(bytes)),
            );
        }
    }
    let start = Stage::Refused.form_start(form);
    let most = request.per_form.map_or(MOST, |count| MOST.min(count as usize));
    let addresses = (start..).step_by(STRIDE as usize);
    addresses
        .zip(found.into_iter().take(most))
        .map(|(address, bytes)| refused_block(address, bytes))
        .collect()
}

fn refused_block(address: u64, bytes: Vec<u8>) -> Block {
    Block {
        address,
        bytes,
        instruction_count: 1,
        terminator: Terminator::Trap,
        successors: Vec::new(),
        origin: Origin::Generated,
        unrunnable: None,
    }
}

/// `bytes` up to where a decoder ends that minds no reserved bit: a register for memory leaves bytes of the address over.
fn without_surplus(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(instruction) = decode_leniently(&bytes, START) {
        bytes.truncate(instruction.len());
    }
    bytes
}

/// Whether decoders for both makers refuse `bytes`, and no engine could take them for what leaves the process.
fn is_refused(bytes: &[u8]) -> bool {
    intel_decoder(bytes, START).decode().is_invalid()
        && amd_decoder(bytes, START).decode().is_invalid()
        && refused_reason(bytes).is_none()
}

/// `bytes`, an instruction, with one thing changed at a time.
fn changed_encodings(bytes: &[u8], number: usize) -> Vec<Vec<u8>> {
    let Some(layout) = EncodingLayout::of_bytes(bytes) else {
        return Vec::new();
    };
    let mut all = prefixed_encodings(bytes, &layout, number);
    if layout.prefix != EncodingPrefix::None {
        all.extend(layout.with_other_lengths(bytes));
        all.extend(layout.with_other_width(bytes));
        all.extend(other_operands(bytes, &layout));
        all.extend(layout.with_reserved_bits(bytes));
    }
    all.extend(layout.with_other_operand(bytes).into_iter().take(1));
    all.extend(layout.with_other_digits(bytes));
    all
}

/// With LOCK, with a prefix that VEX does not stand, and with more bytes than there may be. These are matters of decoding
/// alone: `number` chooses, so that all forms together have every prefix in every place.
fn prefixed_encodings(bytes: &[u8], layout: &EncodingLayout, number: usize) -> Vec<Vec<u8>> {
    const LOCKS: [&[u8]; 4] = [&[0xf0, 0xf0], &[0xf0, 0x2e], &[0x3e, 0xf0], &[0xf0, 0x66]];
    const FORBIDDEN: [&[u8]; 6] = [&[0x66], &[0xf2], &[0xf3], &[0x48], &[0x40], &[0x66, 0x2e]];
    const REPEATED: [u8; 4] = [0x2e, 0x66, 0x3e, 0x67];
    let with = |prefixes: &[u8]| [prefixes, bytes].concat();
    let mut all = vec![with(&[0xf0])];
    if number.is_multiple_of(8) {
        all.push(with(LOCKS[number / 8 % LOCKS.len()]));
    }
    if layout.prefix != EncodingPrefix::None {
        all.push(with(FORBIDDEN[number % FORBIDDEN.len()]));
    }
    let missing = (MAX_LENGTH + 1).saturating_sub(bytes.len());
    let repeated = REPEATED[number % REPEATED.len()];
    all.push(with(&vec![repeated; missing]));
    all
}

/// With vvvv off by one bit: refused where the instruction has no such operand.
fn other_operands(bytes: &[u8], layout: &EncodingLayout) -> Vec<Vec<u8>> {
    let at = layout.prefixes
        + if layout.prefix == EncodingPrefix::ShortVex {
            1
        } else {
            2
        };
    let change = |bit: u8| {
        let mut changed = bytes.to_vec();
        changed[at] ^= bit;
        changed
    };
    [0x08, 0x40].map(change).to_vec()
}
