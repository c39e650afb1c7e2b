//! An engine that runs the runner in a process of its own.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::conformance::Program;
use snippex_core::group::Group;
use snippex_runner::layout::{
    EXIT_NONE, LEAVES_MEMORY, LEAVES_VECTORS, LEAVES_X87, LINE, MAGIC, MODE_COPY, MODE_SCAN, MapStep, PAGE,
    WireLine,
};
use tracing::debug;

use super::runner_file::RunnerFile;
use super::surroundings::Surroundings;
use super::{
    Engine, EngineError, EngineIdentity, EngineSpec, MemoryMode, ProgramOutcome, features, identity, programs,
};
use crate::batch;
use crate::guest_space::AddressSpace;
use crate::leaves::leaves;
use crate::lower::{Lowered, lower};
use crate::plan::{self, Library, MEMORY_OFFSET, Plan};
use crate::process::{Answer, GuestProcess, describe};
use crate::results::{
    EXIT_ABANDONED, EXIT_DIED, EXIT_HUNG, EXIT_UNMAPPABLE, EXIT_X87_TOP, Kind, Results, Unsupported,
};
use crate::shared::Shared;

/// Every line of every page that a batch may capture.
const MAX_LINES: u32 = (batch::MAX_CAPTURED * PAGE as usize / LINE) as u32;
/// Runs of one block in which the engine may die before the rest of them is given up: each costs two processes.
const MAX_DEATHS_IN_A_BLOCK: u32 = 3;
/// Deaths without a completed run between them after which the engine is given up.
const MAX_DEATHS_IN_A_ROW: u32 = 64;

/// An engine that runs the runner in a process of its own, replaced whenever it dies, hangs or is corrupted.
#[derive(Debug)]
pub struct RunnerEngine {
    pub(super) spec: EngineSpec,
    pub(super) identity: EngineIdentity,
    /// Of the files of its command when its version was asked for.
    stamps: Vec<identity::Stamp>,
    runner: Arc<RunnerFile>,
    surroundings: Option<Arc<Surroundings>>,
    pub(super) shared: Shared,
    pub(super) process: Option<GuestProcess>,
    pub(super) space: AddressSpace,
    pub(super) library: Library,
    /// The blocks of this batch, which are often those of the next: pages are found by running them several times.
    blocks: Vec<(Arc<Block>, Placement)>,
    lowered: Vec<Option<Lowered>>,
    unsupported: Vec<Option<Unsupported>>,
    /// Set of `LEAVES_*` of each block.
    leaves: Vec<u32>,
    pub(super) plan: Plan,
    /// Changed lines found here, in copy mode.
    pub(super) lines: Vec<WireLine>,
    /// Lines found by the guest so far in this batch; outlives its process.
    pub(super) line_count: u32,
    deaths: u32,
    /// What programs have mapped in the process.
    pub(super) mapped: Vec<MapStep>,
}

/// How an attempt at a range of runs ended.
pub(super) enum Attempt {
    Done,
    /// The process is gone; the run it was at.
    Died {
        run: u32,
        exit: u32,
        signal: u32,
    },
    /// The engine refused to map what this step has.
    Refused {
        step: u32,
    },
    /// The guest's memory was overwritten.
    Corrupted,
}

impl RunnerEngine {
    /// Starts the engine.
    ///
    /// # Errors
    /// When it cannot be started, does not run the runner, or is an emulator where a CPU is expected.
    pub fn start(spec: EngineSpec) -> Result<Self, EngineError> {
        let prepare = |source| EngineError::Prepare {
            engine: spec.name.clone(),
            source,
        };
        let runner = RunnerFile::get().map_err(prepare)?;
        let mut shared = Shared::new().map_err(prepare)?;
        let surroundings = Surroundings::get(&spec).map_err(prepare)?;
        let process = spawn(&spec, &runner, surroundings.as_deref(), &mut shared)?;
        let version = identity::version(&spec, surroundings.as_deref());
        let identity = EngineIdentity::new(&spec, shared.header(), version);
        if let Some(found) = identity.cpu.emulator().filter(|_| spec.native) {
            return Err(EngineError::NotNative { found: found.into() });
        }
        let stamps = identity::stamps(&spec);
        Ok(Self {
            spec,
            identity,
            stamps,
            runner,
            surroundings,
            shared,
            process: Some(process),
            space: AddressSpace::default(),
            library: Library::new(),
            blocks: Vec::new(),
            lowered: Vec::new(),
            unsupported: Vec::new(),
            leaves: Vec::new(),
            plan: Plan::empty(),
            lines: Vec::new(),
            line_count: 0,
            deaths: 0,
            mapped: Vec::new(),
        })
    }

    pub(super) fn process(&mut self) -> Result<&mut GuestProcess, EngineError> {
        if self.process.is_none() {
            self.space = AddressSpace::default();
            self.mapped.clear();
            let surroundings = self.surroundings.as_deref();
            let process = spawn(&self.spec, &self.runner, surroundings, &mut self.shared)?;
            // Asking for the version costs a process: only when the engine's files have changed.
            let stamps = identity::stamps(&self.spec);
            let version = if stamps == self.stamps {
                Some(self.identity.version.clone())
            } else {
                identity::version(&self.spec, surroundings)
            };
            let now = EngineIdentity::new(&self.spec, self.shared.header(), version);
            if now.version != self.identity.version {
                return Err(EngineError::Changed {
                    engine: self.spec.name.clone(),
                    before: self.identity.version.clone(),
                    after: now.version,
                });
            }
            self.stamps = stamps;
            if now.cpu != self.identity.cpu {
                let engine = self.spec.name.clone();
                let (before, after) = (format!("{:?}", self.identity.cpu), format!("{:?}", now.cpu));
                return Err(EngineError::Changed {
                    engine,
                    before,
                    after,
                });
            }
            self.process = Some(process);
        }
        Ok(self.process.as_mut().expect("started above"))
    }

    /// Decodes the blocks of a batch, those apart that the batch before had.
    fn prepare(&mut self, groups: &[Group]) {
        let key = |block: &Arc<Block>, placement: Placement| {
            (Arc::as_ptr(block), placement.image_base, placement.code_base)
        };
        let before = std::mem::take(&mut self.blocks);
        let mut lowered = std::mem::take(&mut self.lowered);
        let mut unsupported = std::mem::take(&mut self.unsupported);
        let leaves_before = std::mem::take(&mut self.leaves);
        let mut known: HashMap<_, usize> = before
            .iter()
            .enumerate()
            .map(|(index, (block, placement))| (key(block, *placement), index))
            .collect();
        for group in groups {
            let (code, reason, left) = match known.remove(&key(&group.block, group.placement)) {
                Some(index) => (
                    lowered[index].take(),
                    unsupported[index].take(),
                    leaves_before[index],
                ),
                None => self.decode(group),
            };
            self.lowered.push(code);
            self.unsupported.push(reason);
            self.leaves.push(left);
            self.blocks.push((Arc::clone(&group.block), group.placement));
        }
    }

    fn decode(&self, group: &Group) -> (Option<Lowered>, Option<Unsupported>, u32) {
        match lower(&group.block, group.placement) {
            Err(error) => (None, Some(Unsupported::Block(error)), 0),
            Ok(lowered) => match features::missing(&group.block, &self.identity.cpu, &self.spec.lacks) {
                Some(feature) => (None, Some(Unsupported::Feature(feature)), 0),
                None => (Some(lowered), None, leaves(&group.block)),
            },
        }
    }

    /// Does the runs from `first` to `end`, giving up the guilty ones.
    pub(super) fn run_range(&mut self, mut first: u32, end: u32) -> Result<(), EngineError> {
        while first < end {
            match self.attempt(first, end)? {
                Attempt::Done => return Ok(()),
                Attempt::Refused { step } => {
                    let Some(group) = self.plan.group_of_step(step) else {
                        return Err(EngineError::Handshake {
                            engine: self.spec.name.clone(),
                            problem: "it refuses to map code".into(),
                            stderr: String::new(),
                        });
                    };
                    let block = self.plan.blocks[group];
                    let stop = (block.first_run + block.run_count).min(end);
                    self.mark(block.first_run..stop, EXIT_UNMAPPABLE, 0);
                    first = stop;
                }
                Attempt::Died { run, .. } => {
                    if let Some(start) = self.plan.distrust(run) {
                        // Its last run will not say what the earlier ones of this attempt did.
                        first = start.max(first);
                        continue;
                    }
                    // Alone in a fresh process: an earlier run may have done the damage.
                    first = run + 1;
                    if let Attempt::Died { exit, signal, .. } = self.attempt(run, run + 1)? {
                        self.mark(run..run + 1, exit, signal);
                        first = self.after_death(run).min(end).max(first);
                    }
                }
                Attempt::Corrupted if self.plan.distrust_all() => {}
                Attempt::Corrupted if end - first == 1 => {
                    self.mark(first..end, EXIT_DIED, 0);
                    return Ok(());
                }
                Attempt::Corrupted => {
                    let middle = first + (end - first) / 2;
                    self.run_range(first, middle)?;
                    first = middle;
                }
            }
        }
        Ok(())
    }

    /// The run to go on with after the engine died in `run`: the next one, or the next block's when it has died often
    /// enough in this one.
    fn after_death(&mut self, run: u32) -> u32 {
        let Some(block) = self
            .plan
            .blocks
            .iter()
            .find(|block| (block.first_run..block.first_run + block.run_count).contains(&run))
        else {
            return run + 1;
        };
        let (first, end) = (block.first_run, block.first_run + block.run_count);
        let died = self.plan.outputs(&self.shared)[first as usize..=run as usize]
            .iter()
            .filter(|output| matches!(output.exit, EXIT_DIED | EXIT_HUNG))
            .count();
        if died < MAX_DEATHS_IN_A_BLOCK as usize {
            return run + 1;
        }
        self.mark(run + 1..end, EXIT_ABANDONED, 0);
        end
    }

    fn attempt(&mut self, first: u32, end: u32) -> Result<Attempt, EngineError> {
        self.process()?;
        self.plan
            .map(&mut self.shared, &self.library, &mut self.space, first..end);
        let prologue = self.shared.header().prologue_step_count;
        Ok(match self.ring(first, end)? {
            // A step that there is not: the header was overwritten.
            Attempt::Refused { step } if step >= prologue && self.plan.group_of_step(step).is_none() => {
                Attempt::Corrupted
            }
            attempt => attempt,
        })
    }

    /// Rings the doorbell for the runs from `first` to `end`, whose mapping steps are written, and waits.
    pub(super) fn ring(&mut self, first: u32, end: u32) -> Result<Attempt, EngineError> {
        let header = self.shared.header();
        header.mode = match self.spec.memory {
            MemoryMode::Scan => MODE_SCAN,
            MemoryMode::Copy => MODE_COPY,
        };
        header.line_count = self.line_count;
        let process = self.process.as_mut().expect("started above");
        let answer = process.run(&self.shared, self.spec.patience);
        let engine = || self.spec.name.clone();
        let answer = answer.map_err(|source| EngineError::Talk {
            engine: engine(),
            source,
        })?;
        let header = *self.shared.header();
        // Never less than before: lines of earlier runs stay where they are, whatever happened to the header.
        self.line_count = header.line_count.clamp(self.line_count, MAX_LINES);
        if matches!(answer, Answer::Done) {
            if header.canary != MAGIC || header.magic != MAGIC || header.current_run > end {
                self.process = None;
                return Ok(Attempt::Corrupted);
            }
            self.deaths = 0;
            if header.failed_step != 0 {
                // What it has mapped by now is not known.
                self.process = None;
                return Ok(Attempt::Refused {
                    step: header.failed_step - 1,
                });
            }
            return Ok(Attempt::Done);
        }
        let stderr = process.stderr();
        self.process = None;
        debug!(
            engine = self.spec.name,
            ?answer,
            stderr,
            run = header.current_run,
            "engine process lost"
        );
        self.deaths += 1;
        if self.deaths > MAX_DEATHS_IN_A_ROW {
            return Err(EngineError::KeepsDying {
                engine: engine(),
                count: self.deaths,
                stderr,
            });
        }
        let (exit, signal) = match answer {
            Answer::Hung => (EXIT_HUNG, 0),
            Answer::Died(status) => (
                EXIT_DIED,
                std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0) as u32,
            ),
            _ => (EXIT_DIED, 0),
        };
        let run = header.current_run.clamp(first, end - 1);
        if run != first {
            self.deaths = 1;
        }
        Ok(Attempt::Died { run, exit, signal })
    }

    fn mark(&mut self, runs: std::ops::Range<u32>, exit: u32, signal: u32) {
        for output in &mut self.plan.outputs_mut(&mut self.shared)[runs.start as usize..runs.end as usize] {
            output.exit = exit;
            output.fault.signal = signal;
            output.line_count = 0;
        }
    }

    /// Marks the runs whose x87 state the engine did not load as the case has it.
    fn exclude_x87_top(&mut self, groups: &[Group]) {
        let blocks = self.plan.blocks.clone();
        let outputs = self.plan.outputs_mut(&mut self.shared);
        for (block, group) in blocks.iter().zip(groups) {
            for (start, output) in group.starts.iter().zip(&mut outputs[block.first_run as usize..]) {
                if block.run_count != 0 && group.palette[start.vectors as usize].x87.top() != 0 {
                    output.exit = EXIT_X87_TOP;
                    output.line_count = 0;
                }
            }
        }
    }
}

impl Engine for RunnerEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        if !self.mapped.is_empty() {
            // Programs may have left anything behind.
            self.process = None;
        }
        self.space.begin_batch();
        self.prepare(groups);
        batch::check(groups, &self.lowered)?;
        // A single group is alone: nothing but its own pages is mapped.
        let options = plan::Options {
            keep_code: self.spec.native && groups.len() > 1,
            park: groups.len() > 1,
            read_from_frames: groups.len() > 1 && self.spec.memory == MemoryMode::Scan,
            leaves: match (self.spec.shortcuts, self.spec.native) {
                (false, _) => 0,
                // A CPU changes nothing that the instruction does not name.
                (true, true) => LEAVES_MEMORY | LEAVES_X87 | LEAVES_VECTORS,
                // An emulator might, by a register that it uses for something else: then it does so in every run of the
                // block, the last one included. Vector registers are at stake in any code, and cost it little.
                (true, false) => LEAVES_MEMORY | LEAVES_X87,
            },
        };
        self.plan = Plan::write(
            &mut self.shared,
            &mut self.library,
            groups,
            &self.lowered,
            &self.leaves,
            options,
        );
        if self.spec.memory == MemoryMode::Copy {
            self.plan.write_pristine(&mut self.shared, groups);
        }
        plan::clear(self.plan.outputs_mut(&mut self.shared));
        self.process()?;
        self.line_count = 0;
        let count = self.plan.run_count as u32;
        self.run_range(0, count)?;
        self.redo_surprises(groups)?;
        if !self.spec.loads_x87_top {
            self.exclude_x87_top(groups);
        }
        let line_count = match self.spec.memory {
            MemoryMode::Scan => self.line_count as usize,
            MemoryMode::Copy => {
                self.find_lines(groups);
                self.lines.len()
            }
        };
        let lines: &[WireLine] = match self.spec.memory {
            MemoryMode::Scan => self.shared.slice(MEMORY_OFFSET, line_count),
            MemoryMode::Copy => &self.lines,
        };
        debug_assert!(
            self.plan
                .outputs(&self.shared)
                .iter()
                .all(|output| output.exit != EXIT_NONE)
        );
        Ok(Results {
            groups,
            lowered: &self.lowered,
            unsupported: &self.unsupported,
            components: self.identity.components,
            kind: Kind::Raw {
                blocks: &self.plan.blocks,
                outputs: self.plan.outputs(&self.shared),
                lines,
                parked: self.space.parked(),
            },
        })
    }

    fn run_programs(&mut self, programs: &[Program]) -> Result<Vec<ProgramOutcome>, EngineError> {
        programs::run(self, programs)
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        self.process = None;
        self.process().map(|_| ())
    }
}

/// Starts a guest and waits until it has filled the header.
fn spawn(
    spec: &EngineSpec,
    runner: &RunnerFile,
    surroundings: Option<&Surroundings>,
    shared: &mut Shared,
) -> Result<GuestProcess, EngineError> {
    shared.reset();
    let arguments = spec.arguments(runner.path(), &shared.path());
    let (program, rest) = arguments.split_first().expect("a spec has a program");
    let mut command = Command::new(program);
    if let Some(surroundings) = surroundings {
        surroundings.apply(&mut command);
    }
    command
        .args(rest)
        .envs(spec.environment.iter().map(|(name, value)| (name, value)));
    let mut process = GuestProcess::start(command).map_err(|source| EngineError::Start {
        engine: spec.name.clone(),
        program: program.clone(),
        source,
    })?;
    let fail = |process: &mut GuestProcess, problem: String| EngineError::Handshake {
        engine: spec.name.clone(),
        problem,
        stderr: process.stderr(),
    };
    // An empty batch is the handshake.
    match process.run(shared, spec.start_patience) {
        Ok(Answer::Done) if shared.header().ready == 1 => Ok(process),
        Ok(Answer::Done) => Err(fail(&mut process, "it answered without having run it".into())),
        Ok(Answer::Died(status)) => Err(fail(&mut process, format!("it {}", describe(status)))),
        Ok(Answer::Hung) => Err(fail(&mut process, "it did not answer in time".into())),
        Ok(Answer::Garbage(bytes)) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Err(fail(
                &mut process,
                format!("it wrote {text:?} to standard output instead of an answer"),
            ))
        }
        Err(source) => Err(EngineError::Talk {
            engine: spec.name.clone(),
            source,
        }),
    }
}
