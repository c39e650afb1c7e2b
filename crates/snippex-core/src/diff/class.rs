//! What a divergence looks like, for summaries.

use serde::{Deserialize, Serialize};

use super::difference::{Difference, Field, Value};
use crate::effects::{BlockEffects, Location};

/// Kind of a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DivergenceKind {
    /// The hardware faults, the engine goes on.
    MissingFault,
    /// The engine faults, the hardware goes on.
    SpuriousFault,
    /// Both fault, but elsewhere or otherwise.
    DifferentFault,
    /// Both reach the terminator and leave for different targets.
    WrongBranch,
    /// The engine did not end in time.
    EngineHung,
    /// The engine died.
    EngineDied,
    /// The same fault reports another address.
    FaultAddress,
    /// A general register.
    Register,
    /// A flag.
    Flag,
    /// FS or GS base.
    SegmentBase,
    /// A vector register.
    Vector,
    /// An opmask register.
    Opmask,
    /// MXCSR.
    Mxcsr,
    /// Any part of the x87 unit.
    X87,
    /// Memory.
    Memory,
}

/// The instruction that a divergence is put down to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Culprit {
    /// Index in the block.
    pub instruction: usize,
    /// Mnemonic and operand kinds.
    pub form: String,
}

/// Kind and culprit of a divergence: those of the difference that was written first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Class {
    /// Kind of that difference.
    pub kind: DivergenceKind,
    /// A *guess*: of the instructions that wrote the differing parts last, the first in the block. It is wrong when
    /// that instruction only passes on what an earlier one computed; reduction finds the real one.
    pub culprit: Option<Culprit>,
}

impl Class {
    /// The class of a divergence in the state, `completed` instructions into the block. `differences` is not
    /// empty.
    pub(super) fn of_state(effects: &BlockEffects, completed: usize, differences: &[Difference]) -> Self {
        // What was written first cannot be a consequence of what was written later.
        let (kind, writer) = differences
            .iter()
            .map(|difference| {
                let (kind, location) = part(difference);
                (kind, writer(effects, completed, location))
            })
            .min_by_key(|(_, writer)| writer.unwrap_or(usize::MAX))
            .unwrap_or((DivergenceKind::WrongBranch, None));
        Self {
            kind,
            culprit: writer.and_then(|index| culprit(effects, index)),
        }
    }

    /// The class of a divergence in the endpoint, put down to instruction `index`; a wrong branch to what
    /// decided it.
    pub(super) fn of_endpoint(effects: &BlockEffects, index: usize, kind: DivergenceKind) -> Self {
        let index = index.min(effects.instruction_count().saturating_sub(1));
        let decider = (kind == DivergenceKind::WrongBranch)
            .then(|| effects.deciding_instruction(index))
            .flatten();
        Self {
            kind,
            culprit: culprit(effects, decider.unwrap_or(index)),
        }
    }
}

/// Kind and place of a difference in the state.
fn part(difference: &Difference) -> (DivergenceKind, Option<Location>) {
    match difference.field {
        Field::Gpr { register } => (
            DivergenceKind::Register,
            Some(Location::Gpr(usize::from(register))),
        ),
        Field::Flag { flag } => (DivergenceKind::Flag, Some(Location::Flags(flag))),
        Field::FsBase | Field::GsBase => (DivergenceKind::SegmentBase, Some(Location::SegmentBase)),
        Field::Vector { register, .. } => (
            DivergenceKind::Vector,
            Some(Location::Vector(usize::from(register))),
        ),
        Field::Opmask { register } => (
            DivergenceKind::Opmask,
            Some(Location::Opmask(usize::from(register))),
        ),
        Field::Mxcsr => (DivergenceKind::Mxcsr, Some(Location::Mxcsr)),
        Field::X87Control => (DivergenceKind::X87, Some(Location::X87Control)),
        Field::X87Status => {
            let bits = match difference.differing {
                Value::Number(bits) => bits as u16,
                _ => u16::MAX,
            };
            (DivergenceKind::X87, Some(Location::X87Status(bits)))
        }
        Field::X87Tags | Field::X87Register { .. } => (DivergenceKind::X87, Some(Location::X87Registers)),
        Field::Memory { .. } => (DivergenceKind::Memory, Some(Location::Memory)),
        Field::FaultAddress => (DivergenceKind::FaultAddress, None),
        Field::Endpoint => (DivergenceKind::WrongBranch, None),
    }
}

/// Last writer of a place; without one, at a signal, the faulting instruction, if it writes there.
fn writer(effects: &BlockEffects, completed: usize, location: Option<Location>) -> Option<usize> {
    let Some(location) = location else {
        return Some(completed);
    };
    effects
        .last_writer(completed, &location)
        .or_else(|| effects.last_writer(completed + 1, &location))
}

fn culprit(effects: &BlockEffects, instruction: usize) -> Option<Culprit> {
    effects
        .instruction_form(instruction)
        .map(|form| Culprit { instruction, form })
}
