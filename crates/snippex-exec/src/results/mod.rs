//! What the runs of a batch came to.
//!
//! [`Results`] are as the guest has left them and read where they lie, [`OwnedResults`] a copy that has its own bytes, to
//! be kept or sent: `ending` reads both alike, `wire` gives the copy a form for files. Nothing here compares beyond equal
//! bits; that is for `snippex_core::diff`.

mod ending;
mod owned;
mod wire;

use std::borrow::Cow;

use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::Components;
use snippex_runner::layout::{RunOutput, WireBlock, WireLine};

use crate::end_state::EndStates;
use crate::guest_space::AddressSpace;
use crate::lower::{LowerError, Lowered};
use ending::{ParkedPages, read_endpoint, read_outcome};

#[cfg(feature = "recordings")]
pub(crate) use owned::RawResults;
pub use owned::{OwnedResults, ResultsError};
#[cfg(feature = "recordings")]
pub(crate) use wire::UnsupportedWire;

/// Set by the host: the guest process died in this run; `fault.signal` holds the signal, 0 for an exit.
pub(crate) const EXIT_DIED: u32 = 0xffff_ff00;
/// Set by the host: the run did not end in time.
pub(crate) const EXIT_HUNG: u32 = 0xffff_ff01;
/// Set by the host: the engine refused to map a page of the group.
pub(crate) const EXIT_UNMAPPABLE: u32 = 0xffff_ff02;
/// Set by the host: the engine cannot load the x87 state.
pub(crate) const EXIT_X87_TOP: u32 = 0xffff_ff03;

/// Set by the host: the engine died in other runs of the block, so that this one was not tried.
pub(crate) const EXIT_ABANDONED: u32 = 0xffff_ff04;

/// Set by the host: a signal came from the runner's own code, which is no fault of the engine's that could be told.
pub(crate) const EXIT_RUNNER: u32 = 0xffff_ff05;

/// Why a run that ended so says nothing about the engine.
const RUNNER_FAULT: &str = "the runner itself raises a signal there";
/// Why an engine that cannot load such a state did not run it.
const X87_TOP: &str = "x87 TOP is not 0";

/// Why an engine did not run a case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsupported {
    /// The block cannot be executed on any engine.
    Block(LowerError),
    /// The engine's CPU lacks a feature that the block needs.
    Feature(&'static str),
    /// The engine cannot map a page where the case wants it.
    Address,
    /// The engine runs cases only.
    Programs,
    /// The engine runs no 32-bit programs.
    Programs32,
    /// The engine cannot load such a start state, for the reason given.
    State(Cow<'static, str>),
    /// The engine died in other runs of the block; this one was not tried.
    Abandoned,
    /// The recording that stands in for the engine does not have it.
    NotRecorded,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block(error) => error.fmt(formatter),
            Self::Feature(name) => write!(formatter, "the engine has no {name}"),
            Self::Address => formatter.write_str("the engine cannot map a page where the case wants it"),
            Self::Programs => formatter.write_str("the engine runs cases only, not whole programs"),
            Self::Programs32 => formatter.write_str("the engine runs no 32-bit programs"),
            Self::Abandoned => formatter.write_str("the engine died in other runs of the block"),
            Self::NotRecorded => formatter.write_str("the recording does not have it"),
            Self::State(reason) => write!(formatter, "the engine cannot load the start state: {reason}"),
        }
    }
}

/// What an engine made of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It ran, for better or worse.
    Ran(Box<Observation>),
    /// It was not run: neither an error nor a difference.
    Unsupported(Unsupported),
}

/// Results of one batch on one engine; valid until the engine runs another.
#[derive(Debug)]
pub struct Results<'e> {
    pub(crate) groups: &'e [Group],
    pub(crate) lowered: &'e [Option<Lowered>],
    pub(crate) unsupported: &'e [Option<Unsupported>],
    pub(crate) components: Components,
    pub(crate) kind: ResultsKind<'e>,
}

/// Where the results are.
#[derive(Debug)]
pub(crate) enum ResultsKind<'e> {
    /// As the guest left them, in the shared file or a copy.
    Raw {
        blocks: &'e [WireBlock],
        ends: EndStates<'e>,
        lines: &'e [WireLine],
        /// Tells a page that is not there from one that was out of reach.
        parked: ParkedPages<'e>,
    },
    /// Made by an engine in this process, group by group.
    Made(&'e [Vec<RunOutcome>]),
}

impl<'e> Results<'e> {
    /// What the guest has left in the shared file, `space` being what it had mapped.
    pub(crate) fn in_shared_file(
        (groups, lowered, unsupported): (&'e [Group], &'e [Option<Lowered>], &'e [Option<Unsupported>]),
        components: Components,
        (blocks, ends, lines): (&'e [WireBlock], EndStates<'e>, &'e [WireLine]),
        space: &'e AddressSpace,
    ) -> Self {
        let parked = ParkedPages::Space(space);
        Self {
            groups,
            lowered,
            unsupported,
            components,
            kind: ResultsKind::Raw {
                blocks,
                ends,
                lines,
                parked,
            },
        }
    }

    /// A copy that stays valid when the engine runs another batch: bytes are copied, no end state is decoded.
    #[must_use]
    pub fn to_owned_results(&self) -> OwnedResults {
        OwnedResults::from_results(self)
    }

    /// Parts of the state that the engine loads and stores.
    #[must_use]
    pub fn components(&self) -> Components {
        self.components
    }

    /// What the engine made of start `index` of group `group`.
    ///
    /// # Panics
    /// When there is no such group or start.
    #[must_use]
    pub fn outcome(&self, group: usize, index: usize) -> RunOutcome {
        if let Some(reason) = &self.unsupported[group] {
            return RunOutcome::Unsupported(reason.clone());
        }
        match &self.kind {
            ResultsKind::Made(outcomes) => outcomes[group][index].clone(),
            ResultsKind::Raw {
                blocks,
                ends,
                lines,
                parked,
            } => {
                let end = ends.get(blocks[group].first_run as usize + index);
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                read_outcome(
                    &self.groups[group],
                    index,
                    lowered,
                    end,
                    changed_lines(end.output, lines),
                    *parked,
                    self.components,
                )
            }
        }
    }

    /// How start `index` of group `group` ended, without the rest of the observation; `None` when unsupported.
    #[must_use]
    pub fn endpoint(&self, group: usize, index: usize) -> Option<Endpoint> {
        if self.unsupported[group].is_some() {
            return None;
        }
        match &self.kind {
            ResultsKind::Made(outcomes) => match &outcomes[group][index] {
                RunOutcome::Ran(observation) => Some(observation.endpoint),
                RunOutcome::Unsupported(_) => None,
            },
            ResultsKind::Raw {
                blocks, ends, parked, ..
            } => {
                let output = &ends.outputs[blocks[group].first_run as usize + index];
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                read_endpoint(&self.groups[group], lowered, output, *parked)
            }
        }
    }

    /// Whether both engines left exactly the same bits in all that both of them cover: the fast way to "match",
    /// before any mask. `false` says only that a closer look is needed.
    #[must_use]
    pub fn same_bits(&self, other: &Results<'_>, group: usize, index: usize) -> bool {
        let (
            ResultsKind::Raw {
                blocks, ends, lines, ..
            },
            ResultsKind::Raw {
                blocks: other_blocks,
                ends: other_ends,
                lines: other_lines,
                ..
            },
        ) = (&self.kind, &other.kind)
        else {
            return false;
        };
        if self.unsupported[group].is_some() || other.unsupported[group].is_some() {
            return false;
        }
        let a = ends.get(blocks[group].first_run as usize + index);
        let b = other_ends.get(other_blocks[group].first_run as usize + index);
        let group = &self.groups[group];
        let before = &group.vector_pool[group.starts[index].vectors as usize];
        a.same_bits(b, before, self.components.intersection(other.components))
            && changed_lines(a.output, lines).eq_lines(changed_lines(b.output, other_lines))
    }
}

trait EqLines {
    fn eq_lines(&self, other: &Self) -> bool;
}

impl EqLines for [WireLine] {
    fn eq_lines(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other)
                .all(|(a, b)| a.address == b.address && a.bytes == b.bytes)
    }
}

impl EqLines for &[WireLine] {
    fn eq_lines(&self, other: &Self) -> bool {
        (**self).eq_lines(*other)
    }
}

/// The lines that a run changed.
pub(crate) fn changed_lines<'l>(output: &RunOutput, lines: &'l [WireLine]) -> &'l [WireLine] {
    let first = output.first_line as usize;
    lines
        .get(first..first + output.line_count as usize)
        .unwrap_or(&[])
}
