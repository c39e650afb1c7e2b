//! End states of a batch, as the guest left them in the shared file, and what they mean.

use std::collections::BTreeSet;

use snippex_core::block::Terminator;
use snippex_core::group::{Group, VectorState};
use snippex_core::observation::{Endpoint, Line, Observation, Signal};
use snippex_core::state::{Components, MachineState, Vector, X87State, rflags};
use snippex_runner::layout::{
    EXIT_FAULT, EXIT_NONE, PAGE, RunOutput, STORED_CONTROL, STORED_X87, WireBlock, WireLine,
};

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
    /// In the shared file.
    Raw {
        blocks: &'e [WireBlock],
        outputs: &'e [RunOutput],
        lines: &'e [WireLine],
        /// Pages that were out of reach for blocks that do not have them, though something was mapped there.
        parked: &'e BTreeSet<u64>,
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
                outputs,
                lines,
                parked,
            } => {
                let output = &outputs[blocks[group].first_run as usize + index];
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                observe(
                    &self.groups[group],
                    index,
                    lowered,
                    output,
                    changed(output, lines),
                    parked,
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
                blocks,
                outputs,
                parked,
                ..
            } => {
                let output = &outputs[blocks[group].first_run as usize + index];
                let lowered = self.lowered[group]
                    .as_ref()
                    .expect("supported groups are lowered");
                endpoint(&self.groups[group], lowered, output, parked)
            }
        }
    }

    /// Whether both engines left exactly the same bits in all that both of them cover: the fast way to "match",
    /// before any mask. `false` says only that a closer look is needed.
    #[must_use]
    pub fn same_bits(&self, other: &Results<'_>, group: usize, index: usize) -> bool {
        let (
            Kind::Raw {
                blocks,
                outputs,
                lines,
                ..
            },
            Kind::Raw {
                blocks: other_blocks,
                outputs: other_outputs,
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
        let a = &outputs[blocks[group].first_run as usize + index];
        let b = &other_outputs[other_blocks[group].first_run as usize + index];
        let group = &self.groups[group];
        let before = &group.palette[group.starts[index].vectors as usize];
        same_registers(a, b, before, self.components.intersection(other.components))
            && changed(a, lines).eq_lines(changed(b, other_lines))
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
fn changed<'l>(output: &RunOutput, lines: &'l [WireLine]) -> &'l [WireLine] {
    let first = output.first_line as usize;
    lines
        .get(first..first + output.line_count as usize)
        .unwrap_or(&[])
}

/// A vector register after a run that began with `before`.
fn vector<'o>(output: &'o RunOutput, before: &'o VectorState, register: usize) -> &'o Vector {
    if output.stored & (1 << register) != 0 {
        &output.vectors.zmm[register]
    } else {
        &before.vectors[register]
    }
}

fn same_registers(a: &RunOutput, b: &RunOutput, before: &VectorState, covered: Components) -> bool {
    const RF: u64 = rflags::RF;
    if a.exit != b.exit || a.gpr != b.gpr {
        return false;
    }
    let same_flags = if a.exit == EXIT_FAULT {
        a.fault.signal == b.fault.signal
            && a.fault.rip == b.fault.rip
            && a.fault.address == b.fault.address
            && a.fault.rflags & !RF == b.fault.rflags & !RF
    } else {
        a.rflags == b.rflags
    };
    if !same_flags || a.exit >= EXIT_DIED && a.exit != EXIT_FAULT {
        return false;
    }
    if covered.contains(Components::SEGMENT_BASES) && (a.fs_base, a.gs_base) != (b.fs_base, b.gs_base) {
        return false;
    }
    if (a.stored | b.stored) & STORED_X87 != 0 && !same_raw_x87(a, b, before) {
        return false;
    }
    if (a.stored | b.stored) & STORED_CONTROL != 0 {
        if mxcsr(a, before) != mxcsr(b, before) {
            return false;
        }
        if covered.contains(Components::AVX512) && opmask(a, before) != opmask(b, before) {
            return false;
        }
    }
    let (registers, width) = vector_shape(covered);
    (0..registers)
        .filter(|register| (a.stored | b.stored) & (1 << register) != 0)
        .all(|register| vector(a, before, register)[..width] == vector(b, before, register)[..width])
}

/// Number of vector registers and their bytes.
fn vector_shape(covered: Components) -> (usize, usize) {
    if covered.contains(Components::AVX512) {
        (32, 64)
    } else if covered.contains(Components::AVX) {
        (16, 32)
    } else {
        (16, 16)
    }
}

fn same_raw_x87(a: &RunOutput, b: &RunOutput, before: &VectorState) -> bool {
    if a.stored & b.stored & STORED_X87 == 0 {
        return x87(a, before) == x87(b, before);
    }
    let (fx, other) = (&a.vectors.fx, &b.vectors.fx);
    // FCW, FSW, abridged FTW.
    fx[..5] == other[..5]
        && (0..8).all(|register| {
            let at = 32 + 16 * register;
            fx[at..at + 10] == other[at..at + 10]
        })
}

/// Whether a run left the x87 state as it was before.
pub(crate) fn same_x87(output: &RunOutput, before: &VectorState) -> bool {
    x87(output, before) == before.x87
}

/// Whether a run left MXCSR, vector and opmask registers as they were before, as far as `covered` goes.
pub(crate) fn same_vectors(output: &RunOutput, before: &VectorState, covered: Components) -> bool {
    let (registers, width) = vector_shape(covered);
    mxcsr(output, before) == before.mxcsr
        && (!covered.contains(Components::AVX512) || opmask(output, before) == before.opmask)
        && (0..registers)
            .all(|register| vector(output, before, register)[..width] == before.vectors[register][..width])
}

fn x87(output: &RunOutput, before: &VectorState) -> X87State {
    if output.stored & STORED_X87 == 0 {
        before.x87
    } else {
        stored_x87(output)
    }
}

fn stored_x87(output: &RunOutput) -> X87State {
    let fx = &output.vectors.fx;
    let word = |at: usize| u16::from_le_bytes([fx[at], fx[at + 1]]);
    X87State {
        control: word(0),
        status: word(2),
        tags: fx[4],
        st: std::array::from_fn(|register| fx[32 + 16 * register..][..10].try_into().expect("ten bytes")),
    }
}

fn mxcsr(output: &RunOutput, before: &VectorState) -> u32 {
    if output.stored & STORED_CONTROL == 0 {
        before.mxcsr
    } else {
        stored_mxcsr(output)
    }
}

fn stored_mxcsr(output: &RunOutput) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| output.vectors.fx[24 + index]))
}

fn opmask(output: &RunOutput, before: &VectorState) -> [u64; 8] {
    if output.stored & STORED_CONTROL == 0 {
        before.opmask
    } else {
        output.vectors.opmask
    }
}

fn endpoint(
    group: &Group,
    lowered: &Lowered,
    output: &RunOutput,
    parked: &BTreeSet<u64>,
) -> Option<Endpoint> {
    Some(match output.exit {
        EXIT_UNMAPPABLE | EXIT_X87_TOP | EXIT_ABANDONED => return None,
        EXIT_HUNG => Endpoint::Hung,
        EXIT_DIED => Endpoint::EngineDied {
            signal: (output.fault.signal != 0).then_some(output.fault.signal as i32),
        },
        EXIT_NONE => Endpoint::EngineDied { signal: None },
        EXIT_FAULT => signal(group, lowered, output, parked),
        exit => match lowered.target(exit) {
            Some(target) => Endpoint::Exit { target },
            // No stub says so: something else wrote there.
            None => Endpoint::EngineDied { signal: None },
        },
    })
}

fn signal(group: &Group, lowered: &Lowered, output: &RunOutput, parked: &BTreeSet<u64>) -> Endpoint {
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
        && parked.contains(&page)
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
    output: &RunOutput,
    lines: &[WireLine],
    parked: &BTreeSet<u64>,
    components: Components,
) -> Outcome {
    let Some(endpoint) = endpoint(group, lowered, output, parked) else {
        return Outcome::Unsupported(match output.exit {
            EXIT_X87_TOP => Unsupported::State("x87 TOP is not 0"),
            EXIT_ABANDONED => Unsupported::Abandoned,
            _ => Unsupported::Address,
        });
    };
    let mut state = group.state(index);
    let mut memory = Vec::new();
    if matches!(endpoint, Endpoint::Exit { .. } | Endpoint::Signal(_)) {
        read_state(&mut state, output, components);
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

/// Overwrites what the engine covers and the run may have changed.
pub(crate) fn read_state(state: &mut MachineState, output: &RunOutput, components: Components) {
    state.gpr = output.gpr;
    // The capture routine runs after `sigreturn`, which does not give back every flag; the frame has them all.
    state.rflags = if output.exit == EXIT_FAULT {
        output.fault.rflags & !rflags::RF
    } else {
        output.rflags
    };
    if components.contains(Components::SEGMENT_BASES) {
        state.fs_base = output.fs_base;
        state.gs_base = output.gs_base;
    }
    if output.stored & STORED_X87 != 0 {
        state.x87 = stored_x87(output);
    }
    if output.stored & STORED_CONTROL != 0 {
        state.mxcsr = stored_mxcsr(output);
        if components.contains(Components::AVX512) {
            state.opmask = output.vectors.opmask;
        }
    }
    let (registers, width) = vector_shape(components);
    for (register, vector) in state.vectors[..registers].iter_mut().enumerate() {
        if output.stored & (1 << register) != 0 {
            vector[..width].copy_from_slice(&output.vectors.zmm[register][..width]);
        }
    }
}

const _: () = assert!(EXIT_PADS > EXIT_TAKEN);
