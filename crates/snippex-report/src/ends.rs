//! The start of a run and its ends, for programs.
//!
//! What [`super::state`] shows to people, in full: every register, whether it changed or not. Numbers are hexadecimal
//! strings, because JSON numbers end at 2^53; vectors, x87 registers and memory are their bytes in the order of
//! memory. `simulate` and `compare` share this shape; it only grows.

use std::collections::BTreeMap;

use serde::Serialize;
use snippex_core::case::{Case, PAGE_SIZE};
use snippex_core::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation, signal_name};
use snippex_core::state::{Components, GPR_NAMES, MachineState, rflags};

/// A case and how it ended, on one engine or more.
#[derive(Debug, Serialize)]
pub struct EndsView {
    /// The components that all engines have: the rest of an end is what the start has there.
    covered: Vec<&'static str>,
    /// The state it began with.
    start: StateView,
    ends: Vec<EndView>,
}

/// How it ended on an engine.
#[derive(Debug, Serialize)]
struct EndView {
    engine: String,
    endpoint: EndpointView,
    /// `null` when it did not end.
    state: Option<StateView>,
    /// Lines of 64 bytes that changed, in ascending order.
    memory: Vec<LineView>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum EndpointView {
    /// It went to `target`.
    Exit { target: String },
    /// `signal` by name.
    Signal {
        signal: String,
        code: i32,
        rip: String,
        address: String,
        write: bool,
    },
    /// It did not end in time.
    Hung,
    /// The engine did; of `signal`, if of one.
    EngineDied { signal: Option<String> },
}

#[derive(Debug, Serialize)]
struct StateView {
    /// `rax` to `r15`.
    registers: BTreeMap<&'static str, String>,
    rflags: String,
    /// Names of the flags that are set.
    flags: Vec<&'static str>,
    fs_base: String,
    gs_base: String,
    x87: X87View,
    mxcsr: String,
    /// 0 to 31, 64 bytes each.
    vectors: Vec<String>,
    /// k0 to k7.
    opmask: Vec<String>,
}

#[derive(Debug, Serialize)]
struct X87View {
    control: String,
    status: String,
    /// Bit i is set when physical register i is in use.
    tags: String,
    /// `st(0)` to `st(7)`, 10 bytes each.
    st: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LineView {
    address: String,
    before: String,
    after: String,
}

impl EndsView {
    /// `case`, and the name of each engine with how it ended there.
    #[must_use]
    pub fn new<'o>(
        case: &Case,
        covered: Components,
        ends: impl IntoIterator<Item = (String, &'o Observation)>,
    ) -> Self {
        Self {
            covered: covered.names().collect(),
            start: StateView::new(&case.state),
            ends: ends
                .into_iter()
                .map(|(engine, observation)| EndView::new(engine, case, observation))
                .collect(),
        }
    }
}

impl EndView {
    fn new(engine: String, case: &Case, observation: &Observation) -> Self {
        let ended = matches!(observation.endpoint, Endpoint::Exit { .. } | Endpoint::Signal(_));
        let lines = observation.memory.iter().filter(|_| ended);
        Self {
            engine,
            endpoint: EndpointView::new(&observation.endpoint),
            state: ended.then(|| StateView::new(&observation.state)),
            memory: lines.map(|line| LineView::new(case, line)).collect(),
        }
    }
}

impl EndpointView {
    fn new(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Exit { target } => Self::Exit {
                target: number(*target),
            },
            Endpoint::Signal(signal) => Self::Signal {
                signal: signal_name(i32::from(signal.number)),
                code: signal.code,
                rip: number(signal.rip),
                address: number(signal.address),
                write: signal.write,
            },
            Endpoint::Hung => Self::Hung,
            Endpoint::EngineDied { signal } => Self::EngineDied {
                signal: signal.map(signal_name),
            },
        }
    }
}

impl StateView {
    fn new(state: &MachineState) -> Self {
        let registers = GPR_NAMES.into_iter().zip(state.gpr.map(number));
        let flags = rflags::NAMES.into_iter();
        Self {
            registers: registers.collect(),
            rflags: number(state.rflags),
            flags: flags
                .filter(|(_, bit)| state.rflags & bit != 0)
                .map(|(name, _)| name)
                .collect(),
            fs_base: number(state.fs_base),
            gs_base: number(state.gs_base),
            x87: X87View {
                control: number(state.x87.control.into()),
                status: number(state.x87.status.into()),
                tags: number(state.x87.tags.into()),
                st: state.x87.st.iter().map(hex::encode).collect(),
            },
            mxcsr: number(state.mxcsr.into()),
            vectors: state.vectors.iter().map(hex::encode).collect(),
            opmask: state.opmask.into_iter().map(number).collect(),
        }
    }
}

impl LineView {
    fn new(case: &Case, line: &ChangedLine) -> Self {
        Self {
            address: number(line.address),
            before: hex::encode(initial_bytes_at(case, line.address, LINE_SIZE)),
            after: hex::encode(line.bytes),
        }
    }
}

/// What `case` has in `size` bytes at `address` that lie in one page.
pub(crate) fn initial_bytes_at(case: &Case, address: u64, size: usize) -> &[u8] {
    const NOTHING: [u8; LINE_SIZE] = [0; LINE_SIZE];
    let page = case
        .pages
        .iter()
        .find(|page| address.wrapping_sub(page.address) < PAGE_SIZE as u64);
    page.map_or(&NOTHING[..size], |page| {
        let start = (address - page.address) as usize;
        &page.content[start..start + size]
    })
}

fn number(value: u64) -> String {
    format!("{value:#x}")
}
