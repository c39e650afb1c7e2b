//! Signatures: what makes two divergences the same bug.
//!
//! A [`Signature`] names the instruction at fault by its form (mnemonic, operand kinds with their widths, encoding), how
//! the engine is wrong ([`BugKind`]) and in which parts of the state. Register numbers and values do not enter it, so
//! that an emulator's bug has one name wherever it is met, on any machine and in any run; [`SignatureId`] is that name
//! in short.
//!
//! Place in the flow: made of a divergence and its culprit, best after reduction, when only one bug shows. This module
//! decides nothing about who is right (that is [`crate::pattern`]) and runs nothing.
//!
//! ```
//! use std::sync::Arc;
//! use snippex_core::block::{Block, Origin, Terminator};
//! use snippex_core::case::{Case, Placement};
//! use snippex_core::diff::{Comparison, Tolerance, compare_observations};
//! use snippex_core::observation::{Endpoint, Observation};
//! use snippex_triage::signature::Signature;
//! use snippex_core::state::{Components, MachineState};
//!
//! // addsd xmm3, xmm1
//! let block = Block {
//!     address: 0x1000,
//!     bytes: vec![0xf2, 0x0f, 0x58, 0xd9],
//!     instruction_count: 1,
//!     terminator: Terminator::FallThrough,
//!     successors: vec![0x1004],
//!     origin: Origin::Sweep,
//!     unrunnable: None,
//! };
//! let case = Case {
//!     block: Arc::new(block),
//!     placement: Placement { image_base: 0, code_base: 0 },
//!     state: MachineState::default(),
//!     pages: Arc::new([]),
//! };
//! let mut hardware = Observation {
//!     endpoint: Endpoint::Exit { target: 0x1004 },
//!     state: MachineState::default(),
//!     memory: Vec::new(),
//! };
//! let emulator = hardware.clone();
//! hardware.state.mxcsr |= 2;
//! let Comparison::Diverged(divergence) =
//!     compare_observations(&case, &hardware, &emulator, Components::ALL, &Tolerance::none()) else { unreachable!() };
//! let signature = Signature::from_divergence(&case.block, 0, &divergence).unwrap();
//! assert_eq!(signature.to_string(), "addsd xmm, xmm: wrong-value (no mxcsr.DE)");
//! ```

mod fields;
mod form;
mod id;
mod part;

#[cfg(test)]
mod tests;

pub use form::CodeForm;
pub use id::{ParseSignatureIdError, SignatureId};
pub use part::{BitSide, DifferingPart, RegisterPart, StatusBit, StatusWord};

use std::fmt;

use serde::{Deserialize, Serialize};

use snippex_core::block::Block;
use snippex_core::diff::{Divergence, DivergenceKind, Field};

/// How an engine is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BugKind {
    /// A register holds another value; flags and memory may differ, too.
    WrongValue,
    /// Only status flags differ.
    Flag,
    /// Only memory differs.
    Memory,
    /// Control goes elsewhere.
    WrongBranch,
    /// The hardware faults, the engine goes on.
    MissingFault,
    /// The engine faults, the hardware goes on.
    SpuriousFault,
    /// Both fault, but elsewhere or otherwise.
    DifferentFault,
    /// The engine died.
    EngineDied,
    /// The engine did not end in time.
    EngineHung,
}

impl BugKind {
    /// Every kind with the word that it is stored and shown as.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("wrong-value", Self::WrongValue),
        ("flag", Self::Flag),
        ("memory", Self::Memory),
        ("wrong-branch", Self::WrongBranch),
        ("missing-fault", Self::MissingFault),
        ("spurious-fault", Self::SpuriousFault),
        ("different-fault", Self::DifferentFault),
        ("engine-died", Self::EngineDied),
        ("engine-hung", Self::EngineHung),
    ];

    /// The kind of `divergence`.
    #[must_use]
    pub fn from_divergence(divergence: &Divergence) -> Self {
        match divergence.class.kind {
            DivergenceKind::MissingFault => return Self::MissingFault,
            DivergenceKind::SpuriousFault => return Self::SpuriousFault,
            DivergenceKind::DifferentFault | DivergenceKind::FaultAddress => return Self::DifferentFault,
            DivergenceKind::WrongBranch => return Self::WrongBranch,
            DivergenceKind::EngineHung => return Self::EngineHung,
            DivergenceKind::EngineDied => return Self::EngineDied,
            _ => {}
        }
        let all = |test: fn(&Field) -> bool| divergence.differences.iter().all(|found| test(&found.field));
        if all(|field| matches!(field, Field::Flag { .. })) {
            Self::Flag
        } else if all(|field| matches!(field, Field::Memory { .. })) {
            Self::Memory
        } else {
            Self::WrongValue
        }
    }

    /// Whether both runs ended alike, and only the states differ. Which of these kinds it is depends on the values.
    #[must_use]
    pub fn is_in_state(self) -> bool {
        matches!(self, Self::WrongValue | Self::Flag | Self::Memory)
    }

    /// Whether both are the same kind, or both are in the state.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        self == other || self.is_in_state() && other.is_in_state()
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    /// The kind that `name` stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| *kind)
    }
}

/// What makes two divergences the same bug.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// How the engine is wrong.
    pub kind: BugKind,
    /// The instruction at fault.
    pub form: CodeForm,
    /// In which parts of the state it shows, named by their part in the instruction (`op0`, `flags.CF`,
    /// `no mxcsr.DE`); sorted, none twice.
    pub fields: Vec<String>,
}

impl Signature {
    /// The signature of `divergence`, put down to instruction `index` of `block`; the divergence is best that of the
    /// block's instructions up to and including it. `None` when there is no such instruction.
    #[must_use]
    pub fn from_divergence(block: &Block, index: usize, divergence: &Divergence) -> Option<Self> {
        let (form, instruction) = form::code_form_at(block, index)?;
        let mut fields: Vec<String> = divergence
            .differences
            .iter()
            .flat_map(|difference| fields::differing_parts(&instruction, difference))
            .map(|part| part.to_string())
            .collect();
        fields.sort_unstable();
        fields.dedup();
        Some(Self {
            kind: BugKind::from_divergence(divergence),
            form,
            fields,
        })
    }

    /// The fields as values; those of another version that this one does not know are left out.
    pub fn parts(&self) -> impl Iterator<Item = DifferingPart> {
        self.fields.iter().filter_map(|field| DifferingPart::parse(field))
    }

    /// Its short name.
    #[must_use]
    pub fn id(&self) -> SignatureId {
        SignatureId::from_signature(self)
    }
}

impl fmt::Display for Signature {
    /// `addsd xmm, xmm: wrong-value (no mxcsr.DE)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({})",
            self.form,
            self.kind.name(),
            self.fields.join(", ")
        )
    }
}
