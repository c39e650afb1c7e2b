//! What the runs of a batch came to.

use snippex_core::block::Terminator;
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Line, Observation, Signal};
use snippex_core::state::Components;
use snippex_runner::layout::{EXIT_FAULT, EXIT_NONE, PAGE, RunOutput, WireBlock, WireLine};

use crate::end_state::{EndState, EndStates};
use crate::guest_space::AddressSpace;
use crate::lower::{EXIT_NEXT, EXIT_PADS, EXIT_TAKEN, LowerError, Lowered};

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

const SIGTRAP: u32 = 5;
const SIGSEGV: u32 = 11;
const TRAP_TRACE: i32 = 2;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;

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
    /// The engine cannot load such a start state, for the reason given.
    State(&'static str),
    /// The engine died in other runs of the block; this one was not tried.
    Abandoned,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block(error) => error.fmt(formatter),
            Self::Feature(name) => write!(formatter, "the engine has no {name}"),
            Self::Address => formatter.write_str("the engine cannot map a page where the case wants it"),
            Self::Programs => formatter.write_str("the engine runs cases only, not whole programs"),
            Self::Abandoned => formatter.write_str("the engine died in other runs of the block"),
            Self::State(reason) => write!(formatter, "the engine cannot load the start state: {reason}"),
        }
    }
}

/// What an engine made of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
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
    pub(crate) kind: Kind<'e>,
}

/// Where the results are.
#[derive(Debug)]
pub(crate) enum Kind<'e> {
    /// In the shared file, as the guest left them.
    Raw {
        blocks: &'e [WireBlock],
        ends: EndStates<'e>,
        lines: &'e [WireLine],
        /// Tells pages that were out of reach for blocks that do not have them, though something was mapped there.
        space: &'e AddressSpace,
    },
    /// Made by an engine in this process, group by group.
    Made(&'e [Vec<Outcome>]),
}

impl<'e> Results<'e> {
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
    pub fn outcome(&self, group: usize, index: usize) -> Outcome {
        if let Some(reason) = &self.unsupported[group] {
            return Outcome::Unsupported(reason.clone());
        }
        match &self.kind {
            Kind::Made(outcomes) => outcomes[group][index].clone(),
            Kind::Raw {
                blocks,
                ends,
                lines,
                space,
            } => {
                let end = ends.get(blocks[group].first_run as usize + index);
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                observe(
                    &self.groups[group],
                    index,
                    lowered,
                    end,
                    changed(end.output, lines),
                    space,
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
            Kind::Made(outcomes) => match &outcomes[group][index] {
                Outcome::Ran(observation) => Some(observation.endpoint),
                Outcome::Unsupported(_) => None,
            },
            Kind::Raw {
                blocks, ends, space, ..
            } => {
                let output = &ends.outputs[blocks[group].first_run as usize + index];
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                endpoint(&self.groups[group], lowered, output, space)
            }
        }
    }

    /// Whether both engines left exactly the same bits in all that both of them cover: the fast way to "match",
    /// before any mask. `false` says only that a closer look is needed.
    #[must_use]
    pub fn same_bits(&self, other: &Results<'_>, group: usize, index: usize) -> bool {
        let (
            Kind::Raw {
                blocks, ends, lines, ..
            },
            Kind::Raw {
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
        let before = &group.palette[group.starts[index].vectors as usize];
        a.same_bits(b, before, self.components.intersection(other.components))
            && changed(a.output, lines).eq_lines(changed(b.output, other_lines))
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
pub(crate) fn changed<'l>(output: &RunOutput, lines: &'l [WireLine]) -> &'l [WireLine] {
    let first = output.first_line as usize;
    lines
        .get(first..first + output.line_count as usize)
        .unwrap_or(&[])
}

fn endpoint(group: &Group, lowered: &Lowered, output: &RunOutput, space: &AddressSpace) -> Option<Endpoint> {
    Some(match output.exit {
        EXIT_UNMAPPABLE | EXIT_X87_TOP | EXIT_ABANDONED => return None,
        EXIT_HUNG => Endpoint::Hung,
        EXIT_DIED => Endpoint::EngineDied {
            signal: (output.fault.signal != 0).then_some(output.fault.signal as i32),
        },
        EXIT_NONE => Endpoint::EngineDied { signal: None },
        EXIT_FAULT => signal(group, lowered, output, space),
        exit => match lowered.target(exit) {
            Some(target) => Endpoint::Exit { target },
            // No stub says so: something else wrote there.
            None => Endpoint::EngineDied { signal: None },
        },
    })
}

fn signal(group: &Group, lowered: &Lowered, output: &RunOutput, space: &AddressSpace) -> Endpoint {
    let fault = &output.fault;
    let end = lowered.address + lowered.stubs as u64;
    let inside = (lowered.address..end).contains(&fault.rip);
    let indirect = matches!(
        group.block.terminator,
        Terminator::Ret | Terminator::IndirectCall | Terminator::IndirectJmp
    );
    // Fetching the first instruction at the target faulted: the jump itself was done, and where to is known.
    if indirect && fault.signal == SIGSEGV && fault.address == fault.rip && !inside {
        return Endpoint::Exit { target: fault.rip };
    }
    // All around the blocks of a batch is INT3, where a case has nothing: the same.
    let before = fault.rip.wrapping_sub(1);
    if indirect
        && fault.signal == SIGTRAP
        && fault.code != TRAP_TRACE
        && !(lowered.address..lowered.end()).contains(&before)
    {
        return Endpoint::Exit { target: before };
    }
    let mut rip = fault.rip;
    if fault.signal == SIGTRAP && rip >= end && rip < lowered.end() {
        // TF, set by the block, traps on the first instruction of a stub: in the program, at the exit's target.
        let stub = (rip - end) as usize / snippex_runner::layout::STUB_SIZE;
        rip = lowered.targets[if stub == 0 { EXIT_NEXT } else { EXIT_TAKEN } as usize];
    }
    let mut code = fault.code;
    let page = fault.address & !(PAGE - 1);
    if fault.signal == SIGSEGV
        && code == SEGV_ACCERR
        && space.was_parked(page)
        && group
            .pages
            .binary_search_by_key(&page, |page| page.address)
            .is_err()
    {
        // For the case nothing is mapped there.
        code = SEGV_MAPERR;
    }
    Endpoint::Signal(Signal {
        number: fault.signal as u8,
        code,
        rip,
        address: fault.address,
        write: fault.signal == SIGSEGV && fault.error & 2 != 0,
    })
}

fn observe(
    group: &Group,
    index: usize,
    lowered: &Lowered,
    end: EndState<'_>,
    lines: &[WireLine],
    space: &AddressSpace,
    components: Components,
) -> Outcome {
    let Some(endpoint) = endpoint(group, lowered, end.output, space) else {
        return Outcome::Unsupported(match end.output.exit {
            EXIT_X87_TOP => Unsupported::State("x87 TOP is not 0"),
            EXIT_ABANDONED => Unsupported::Abandoned,
            _ => Unsupported::Address,
        });
    };
    let mut state = group.state(index);
    let mut memory = Vec::new();
    if matches!(endpoint, Endpoint::Exit { .. } | Endpoint::Signal(_)) {
        end.read(&mut state, components);
        memory.extend(lines.iter().map(|line| Line {
            address: line.address,
            bytes: line.bytes,
        }));
    }
    Outcome::Ran(Box::new(Observation {
        endpoint,
        state,
        memory,
    }))
}

const _: () = assert!(EXIT_PADS > EXIT_TAKEN);
