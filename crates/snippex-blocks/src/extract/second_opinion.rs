//! A second decoder's view of the instructions found: how often the lengths differ.

use capstone::prelude::*;

use super::BlockIndex;
use snippex_core::block::Origin;
use snippex_core::decode::intel_decoder;

/// An instruction whose length the decoders see differently.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Disagreement {
    /// File address of the instruction.
    pub address: u64,
    /// Its bytes, as iced-x86 delimits them.
    pub bytes: Vec<u8>,
    /// Length that capstone gives; `None` when it does not decode the bytes.
    pub capstone_length: Option<u8>,
}

/// What comparing the decoders gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SecondOpinion {
    /// Instructions compared.
    pub instructions: u64,
    /// Instructions with a different length.
    pub disagreements: u64,
    /// Of these, instructions capstone does not know.
    pub unknown: u64,
    /// Of the disagreements, those in blocks found by linear sweep, which are data most likely.
    pub in_sweep: u64,
    /// The first of them, ascending by address.
    pub examples: Vec<Disagreement>,
}

/// Decodes every instruction of every block again with capstone and counts where the lengths differ; keeps the
/// first `examples`.
///
/// # Errors
/// When capstone cannot be set up.
pub fn second_opinion(index: &BlockIndex<'_, '_>, examples: usize) -> Result<SecondOpinion, capstone::Error> {
    let capstone = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build()?;
    let mut opinion = SecondOpinion::default();
    for number in 0..index.len() {
        let (Some(entry), Some(bytes)) = (index.entry_at(number), index.block_bytes(number)) else {
            continue;
        };
        for instruction in &mut intel_decoder(bytes, entry.address) {
            let start = (instruction.ip() - entry.address) as usize;
            let own = &bytes[start..start + instruction.len()];
            let other = capstone.disasm_count(&bytes[start..], instruction.ip(), 1)?;
            let length = other.first().map(|other| other.bytes().len());
            opinion.instructions += 1;
            if length == Some(own.len()) {
                continue;
            }
            opinion.disagreements += 1;
            opinion.unknown += u64::from(length.is_none());
            opinion.in_sweep += u64::from(entry.origin == Origin::Sweep);
            if opinion.examples.len() < examples {
                opinion.examples.push(Disagreement {
                    address: instruction.ip(),
                    bytes: own.to_vec(),
                    capstone_length: length.map(|length| length as u8),
                });
            }
        }
    }
    Ok(opinion)
}
