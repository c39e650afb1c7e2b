//! An engine that runs the runner in a process of its own.

use std::process::Command;
use std::sync::Arc;

use snippex_core::conformance::Program;
use snippex_core::group::Group;
use snippex_runner::layout::{
    EXIT_NONE, LEAVES_MEMORY, LEAVES_OTHER_LINES, LEAVES_VECTORS, LEAVES_X87, MapStep, WireLine,
};

use super::decoded::Decoded;
use super::runner_file::RunnerFile;
use super::surroundings::Surroundings;
use super::{
    Engine, EngineError, EngineIdentity, EngineSpec, MemoryMode, ProgramOutcome, identity, programs,
};
use crate::batch;
use crate::guest_space::AddressSpace;
use crate::plan::{self, Library, MEMORY_OFFSET, Plan};
use crate::process::{Answer, GuestProcess, describe};
use crate::results::{EXIT_X87_TOP, Kind, Results};
use crate::shared::Shared;

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
    decoded: Decoded,
    pub(super) plan: Plan,
    /// Changed lines found here, in copy mode.
    pub(super) lines: Vec<WireLine>,
    /// Lines found by the guest so far in this batch; outlives its process.
    pub(super) line_count: u32,
    pub(super) deaths: u32,
    /// What programs have mapped in the process.
    pub(super) mapped: Vec<MapStep>,
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
            decoded: Decoded::default(),
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

    /// What the guest is told that blocks leave alone.
    fn leaves(&self) -> u32 {
        if !self.spec.shortcuts {
            return 0;
        }
        // A CPU changes nothing that the instruction does not name. An emulator might, by a register that it uses for
        // something else: then it does so in every run of the block, the last one included. Vector registers are at stake
        // in any code, and cost it little.
        let vectors = if self.spec.native { LEAVES_VECTORS } else { 0 };
        LEAVES_MEMORY | LEAVES_OTHER_LINES | LEAVES_X87 | vectors
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
        self.decoded.take(groups, &self.identity.cpu, &self.spec.lacks);
        batch::check(groups, &self.decoded.lowered)?;
        // A single group is alone: nothing but its own pages is mapped.
        let options = plan::Options {
            keep_code: self.spec.native && groups.len() > 1,
            park: groups.len() > 1,
            framed: self.spec.memory == MemoryMode::Scan,
            leaves: self.leaves(),
        };
        self.plan = Plan::write(
            &mut self.shared,
            &mut self.library,
            groups,
            &self.decoded.lowered,
            &self.decoded.left,
            options,
        );
        if self.spec.memory == MemoryMode::Copy {
            self.plan.write_pristine(&mut self.shared, groups);
        }
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
            lowered: &self.decoded.lowered,
            unsupported: &self.decoded.unsupported,
            components: self.identity.components,
            kind: Kind::Raw {
                blocks: &self.plan.blocks,
                ends: self.plan.ends(&self.shared),
                lines,
                space: &self.space,
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
