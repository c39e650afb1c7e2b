//! The cases of a recording for programs of others: starts, ends, and which bits of the ends are defined.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use snippex_core::block::Block;
use snippex_core::case::{Case, PageAccess};
use snippex_core::effects::{BlockEffects, Mask, Precision};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation, signal_name};
use snippex_core::seed::vector_pool;
use snippex_core::state::{GPR_NAMES, MachineState, Vector, X87State};
use snippex_exec::engine::Engine;
use snippex_exec::recording::{RecordedEngine, Recording};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};

use crate::SessionError;
use crate::recording::source_of_recording;

/// Form of what is written.
const VERSION: u32 = 1;
/// Blocks that are made ready at a time.
const BATCH: usize = 32;

/// The vectors of a recording.
#[derive(Debug)]
pub struct Vectors<'r> {
    recording: &'r Arc<Recording>,
}

impl<'r> Vectors<'r> {
    /// Those of `recording`.
    #[must_use]
    pub fn new(recording: &'r Arc<Recording>) -> Self {
        Self { recording }
    }

    /// What was recorded on what, and the x87 and vector states that starts name by their index.
    #[must_use]
    pub fn header(&self) -> Value {
        let about = self.recording.about();
        let states = vector_pool(about.seed, about.style());
        let states: Vec<Value> = states
            .iter()
            .map(|state| {
                json!({
                    "x87": x87(&state.x87),
                    "mxcsr": number(state.mxcsr.into()),
                    "zmm": state.vectors.iter().map(hex::encode).collect::<Vec<_>>(),
                    "k": state.opmask.map(number),
                })
            })
            .collect();
        json!({
            "vectors": VERSION,
            "snippex": about.snippex,
            "recording": self.recording.id().to_string(),
            "source": about.source.name(),
            "engine": about.engine.name,
            "engine_version": about.engine.version,
            "cpu": about.engine.cpu.brand,
            "components": about.engine.components.names().collect::<Vec<_>>(),
            "seed": about.seed,
            "states": about.states,
            "vector_states": states,
        })
    }

    /// Gives the first `limit` blocks to `take`, each with its memory and its cases, until that wants no more.
    ///
    /// # Errors
    /// When the recording is damaged.
    pub fn each_block(&self, limit: usize, take: &mut dyn FnMut(Value) -> bool) -> Result<(), SessionError> {
        let about = self.recording.about();
        let source = source_of_recording(self.recording)?;
        let image = source.parse_image()?;
        let memory = MemorySource::new(image.as_ref(), about.placement, about.seed);
        let maker = CaseMaker::new(memory, about.placement, about.seed, about.states as usize);
        let mut maker = maker.in_style(about.style());
        let mut engine = RecordedEngine::new(Arc::clone(self.recording));
        let blocks = self.recording.blocks().into_iter().take(limit).map(Arc::new);
        let blocks: Vec<Arc<Block>> = blocks.collect();
        for chosen in blocks.chunks(BATCH) {
            let groups = maker.make_groups(chosen, &mut engine)?;
            let results = engine.run(&groups)?;
            for (position, group) in groups.iter().enumerate() {
                let outcomes = (0..group.starts.len()).map(|start| results.outcome(position, start));
                if !take(of_group(group, outcomes)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn number(value: u64) -> Value {
    Value::String(format!("{value:#x}"))
}

fn x87(state: &X87State) -> Value {
    json!({
        "fcw": number(state.control.into()),
        "fsw": number(state.status.into()),
        "ftw": number(state.tags.into()),
        "st": state.st.map(hex::encode),
    })
}

fn of_group(group: &Group, outcomes: impl Iterator<Item = RunOutcome>) -> Value {
    let effects = BlockEffects::new(&group.block);
    let pages = group.pages.iter().map(|page| {
        json!({
            "address": number(page.address),
            "writable": page.access == PageAccess::ReadWrite,
            "bytes": hex::encode(&page.content[..]),
        })
    });
    let cases = outcomes.enumerate().map(|(index, outcome)| {
        let start = &group.starts[index];
        let mut registers: Map<String, Value> = GPR_NAMES
            .iter()
            .zip(start.gpr)
            .map(|(name, value)| ((*name).to_owned(), number(value)))
            .collect();
        registers.insert("rflags".to_owned(), number(start.rflags));
        registers.insert("fs_base".to_owned(), number(start.fs_base));
        registers.insert("gs_base".to_owned(), number(start.gs_base));
        registers.insert("vector_state".to_owned(), start.vectors.into());
        let mut case = json!({ "start": registers });
        match outcome {
            RunOutcome::Unsupported(reason) => case["unsupported"] = reason.to_string().into(),
            RunOutcome::Ran(end) => {
                let started = group.case_at(index);
                case["end"] = end_of(&started.state, &end);
                let mask = mask_of(&effects, &started, &end);
                if mask.as_object().is_some_and(|mask| !mask.is_empty()) {
                    case["undefined"] = mask;
                }
            }
        }
        case
    });
    json!({
        "address": number(group.block.address),
        "code_address": number(group.block.address.wrapping_add(group.placement.code_base)),
        "code": hex::encode(&group.block.bytes),
        "memory": pages.collect::<Vec<_>>(),
        "cases": cases.collect::<Vec<_>>(),
    })
}

/// What is not as at the start.
fn end_of(start: &MachineState, end: &Observation) -> Value {
    let state = &end.state;
    let mut changed = Map::new();
    match end.endpoint {
        Endpoint::Exit { target } => drop(changed.insert("rip".to_owned(), number(target))),
        Endpoint::Signal(signal) => {
            changed.insert("signal".to_owned(), signal_name(signal.number.into()).into());
            changed.insert("rip".to_owned(), number(signal.rip));
            changed.insert("fault_address".to_owned(), number(signal.address));
        }
        Endpoint::Hung => drop(changed.insert("hung".to_owned(), true.into())),
        Endpoint::EngineDied { .. } => drop(changed.insert("died".to_owned(), true.into())),
    }
    let gpr = GPR_NAMES.iter().zip(state.gpr).zip(start.gpr);
    for ((name, after), _) in gpr.filter(|((_, after), before)| after != before) {
        changed.insert((*name).to_owned(), number(after));
    }
    let words = [
        ("rflags", state.rflags, start.rflags),
        ("fs_base", state.fs_base, start.fs_base),
        ("gs_base", state.gs_base, start.gs_base),
        ("mxcsr", state.mxcsr.into(), start.mxcsr.into()),
    ];
    for (name, after, _) in words.into_iter().filter(|(_, after, before)| after != before) {
        changed.insert(name.to_owned(), number(after));
    }
    if state.x87 != start.x87 {
        changed.insert("x87".to_owned(), x87(&state.x87));
    }
    let vectors = state.vectors.iter().zip(&start.vectors).enumerate();
    for (index, (after, _)) in vectors.filter(|(_, (after, before))| after != before) {
        changed.insert(format!("zmm{index}"), hex::encode::<&Vector>(after).into());
    }
    let opmasks = state.opmask.iter().zip(&start.opmask).enumerate();
    for (index, (after, _)) in opmasks.filter(|(_, (after, before))| after != before) {
        changed.insert(format!("k{index}"), number(*after));
    }
    if !end.memory.is_empty() {
        let lines = end
            .memory
            .iter()
            .map(|line| json!({"address": number(line.address), "bytes": hex::encode(line.bytes)}));
        changed.insert("memory".to_owned(), lines.collect());
    }
    Value::Object(changed)
}

/// The bits of an end that are open: only what has any.
fn mask_of(effects: &BlockEffects, case: &Case, end: &Observation) -> Value {
    let mask: Mask = effects.mask_at_endpoint(case, &end.endpoint, &end.state);
    let mut open = Map::new();
    let mut add = |name: String, bits: u64| {
        if bits != 0 {
            open.insert(name, number(bits));
        }
    };
    for (name, bits) in GPR_NAMES.iter().zip(&mask.gpr) {
        add((*name).to_owned(), bits.mask);
    }
    add("rflags".to_owned(), mask.flag_bits());
    add("mxcsr".to_owned(), mask.mxcsr.mask);
    add("fcw".to_owned(), mask.control.mask);
    add("fsw".to_owned(), mask.status_bits().into());
    add("ftw".to_owned(), mask.tags.mask);
    for (name, rules) in ["fs_base", "gs_base"].into_iter().zip(&mask.bases) {
        add(name.to_owned(), if rules.is_empty() { 0 } else { u64::MAX });
    }
    for (index, bits) in mask.opmask.iter().enumerate() {
        add(format!("k{index}"), bits.mask);
    }
    // Bytes, not bits.
    for (index, bits) in mask.vectors.iter().enumerate() {
        let approximated = mask
            .approximations
            .iter()
            .filter(|lanes| usize::from(lanes.register) == index);
        let bytes = approximated.fold(bits.mask, |bytes, lanes| bytes | lanes.bytes);
        add(format!("zmm{index}_bytes"), bytes);
    }
    let physical = mask
        .st
        .iter()
        .enumerate()
        .filter(|(_, st)| **st != Precision::Exact);
    let physical: Vec<usize> = physical.map(|(index, _)| index).collect();
    if !physical.is_empty() {
        open.insert("x87_physical".to_owned(), physical.into());
    }
    if !mask.memory.is_empty() {
        let bytes = mask
            .memory
            .iter()
            .map(|byte| json!({"address": number(byte.address), "bits": number(byte.mask.into())}));
        open.insert("memory".to_owned(), bytes.collect());
    }
    for (name, is_open) in [
        ("memory_anywhere", !mask.anywhere.is_empty()),
        ("rip", !mask.target.is_empty()),
        ("fault", !mask.faults.is_empty()),
    ] {
        if is_open {
            open.insert(name.to_owned(), true.into());
        }
    }
    Value::Object(open)
}
