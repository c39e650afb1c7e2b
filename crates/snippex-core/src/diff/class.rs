//! What a divergence looks like, for summaries.

use serde::Serialize;

use super::difference::{Difference, Field};
use crate::effects::{BlockEffects, Location};

/// Kind of a divergence, after its first difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Culprit {
    /// Index in the block.
    pub instruction: usize,
    /// Mnemonic and operand kinds.
    pub form: String,
}

/// Kind and culprit of a divergence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Class {
    /// Kind of the first difference.
    pub kind: Kind,
    /// A *guess*: the last instruction that writes the first differing part. It is wrong when that instruction
    /// only passes on what an earlier one computed; reduction finds the real one.
    pub culprit: Option<Culprit>,
}

impl Class {
    /// The class of a divergence in the state, `completed` instructions into the block.
    pub(super) fn of_state(effects: &BlockEffects, completed: usize, first: &Difference) -> Self {
        let (kind, location) = match first.field {
            Field::Gpr { register } => (Kind::Register, Some(Location::Gpr(usize::from(register)))),
            Field::Flag { flag } => (Kind::Flag, Some(Location::Flags(flag))),
            Field::FsBase | Field::GsBase => (Kind::SegmentBase, Some(Location::SegmentBase)),
            Field::Vector { register, .. } => (Kind::Vector, Some(Location::Vector(usize::from(register)))),
            Field::Opmask { register } => (Kind::Opmask, Some(Location::Opmask(usize::from(register)))),
            Field::Mxcsr => (Kind::Mxcsr, Some(Location::Mxcsr)),
            Field::X87Control => (Kind::X87, Some(Location::X87Control)),
            Field::X87Status => {
                let bits = match first.differing {
                    super::Value::Number(bits) => bits as u16,
                    _ => u16::MAX,
                };
                (Kind::X87, Some(Location::X87Status(bits)))
            }
            Field::X87Tags | Field::X87Register { .. } => (Kind::X87, Some(Location::X87Registers)),
            Field::Memory { .. } => (Kind::Memory, Some(Location::Memory)),
            Field::FaultAddress => (Kind::FaultAddress, None),
            Field::Endpoint => (Kind::WrongBranch, None),
        };
        let writer = match location {
            // At a signal the faulting instruction may have written what it should not.
            Some(location) => effects
                .last_writer(completed, &location)
                .or_else(|| effects.last_writer(completed + 1, &location)),
            None => Some(completed),
        };
        Self {
            kind,
            culprit: writer.and_then(|index| culprit(effects, index)),
        }
    }

    /// The class of a divergence in the endpoint, put down to instruction `index`.
    pub(super) fn of_endpoint(effects: &BlockEffects, index: usize, kind: Kind) -> Self {
        let last = effects.instruction_count().saturating_sub(1);
        Self {
            kind,
            culprit: culprit(effects, index.min(last)),
        }
    }
}

fn culprit(effects: &BlockEffects, instruction: usize) -> Option<Culprit> {
    effects
        .form(instruction)
        .map(|form| Culprit { instruction, form })
}
