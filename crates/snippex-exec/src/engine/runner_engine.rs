//! An engine that runs the runner in processes of its own.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use snippex_core::group::Group;
use snippex_formats::conformance::TestProgram;
use snippex_runner::layout::{
    EXIT_NONE, Header, MapStep, SKIP_MEMORY, SKIP_OTHER_LINES, SKIP_VECTORS, SKIP_X87, STORED_X87,
    SYSTEM_COPY, SYSTEM_FORK, WireLine,
};
use tracing::{debug, info, warn};

use super::decoded::Decoded;
use super::runner_file::RunnerFile;
use super::surroundings::Surroundings;
use super::{
    Engine, EngineError, EngineIdentity, EngineSpec, MemoryMode, ProgramOutcome, identity, programs,
};
use crate::batch;
use crate::guest_space::AddressSpace;
use crate::loaded_pools::X87Order;
use crate::plan::{self, BatchPlan, Library};
use crate::process::{GuestAnswer, GuestProcess, describe_exit_status};
use crate::results::{EXIT_X87_TOP, Results};
use crate::shared::Shared;
use crate::shared_layout::MEMORY_OFFSET;
use crate::warm_up;

/// An engine that runs the runner in a process of its own, replaced whenever it dies, hangs or is corrupted. What is to
/// run in a fresh process runs in a child of another, the parent.
#[derive(Debug)]
pub struct RunnerEngine {
    pub(super) spec: EngineSpec,
    pub(super) identity: EngineIdentity,
    /// Of the files of its command when its version was asked for.
    stamps: Vec<identity::Stamp>,
    pub(super) runner: Arc<RunnerFile>,
    pub(super) surroundings: Option<Arc<Surroundings>>,
    pub(super) shared: Shared,
    /// What guests find in the header, with what they have put there themselves: the same for all.
    greeting: Header,
    pub(super) process: Option<GuestProcess>,
    /// Never runs a block: its children do, one each. Started when it is first needed.
    pub(super) parent: Option<GuestProcess>,
    /// Processes of the engine can have children, as far as is known.
    pub(super) forks: bool,
    /// Every attempt at the batch is made in a process that has run nothing before.
    pub(super) fresh: bool,
    pub(super) space: AddressSpace,
    /// What the last child had mapped.
    pub(super) child_space: AddressSpace,
    pub(super) library: Library,
    decoded: Decoded,
    pub(super) plan: BatchPlan,
    /// Changed lines found here, in copy mode.
    pub(super) lines: Vec<WireLine>,
    /// Lines found by the guest so far in this batch; outlives its process.
    pub(super) line_count: u32,
    pub(super) deaths: u32,
    /// What programs have mapped in the process.
    pub(super) mapped: Vec<MapStep>,
    /// Starts that failed and were tried again.
    pub(super) failed_starts: u32,
}

impl RunnerEngine {
    /// Starts the engine.
    ///
    /// # Errors
    /// When it cannot be started, does not run the runner, or is an emulator where a CPU is expected.
    pub fn start(mut spec: EngineSpec) -> Result<Self, EngineError> {
        // This program is of the machine's own architecture. An x86-64 program may still run here, by binfmt_misc or because
        // qemu-user runs this one on an x86-64 machine: neither makes the machine's processor one.
        if spec.native && !cfg!(target_arch = "x86_64") {
            return Err(EngineError::NoCpu);
        }
        let prepare = |source| EngineError::Prepare {
            engine: spec.name.clone(),
            source,
        };
        let runner = RunnerFile::get_or_create().map_err(prepare)?;
        let mut shared = Shared::new().map_err(prepare)?;
        let surroundings = Surroundings::get_or_create(&spec).map_err(prepare)?;
        let mut failed_starts = 0;
        let process = start_process(
            (&spec, &runner, surroundings.as_deref()),
            &mut shared,
            FIRST_STARTS,
            &mut failed_starts,
        )?;
        let version = identity::query_engine_version(&spec, surroundings.as_deref());
        let identity = EngineIdentity::new(&spec, shared.header(), version);
        if let Some(found) = identity.cpu.emulator().filter(|_| spec.native) {
            return Err(EngineError::NotNative { found: found.into() });
        }
        info!(
            engine = spec.name,
            version = identity.version,
            cpu = identity.cpu.brand,
            failed_starts,
            "engine started"
        );
        let stamps = identity::read_engine_stamps(&spec);
        let mut greeting = *shared.header();
        if !spec.loads_x87_top {
            greeting.x87_order = NO_X87_ORDER;
        }
        if greeting.system & SYSTEM_COPY == 0 {
            spec.memory = MemoryMode::Scan;
        }
        Ok(Self {
            spec,
            identity,
            stamps,
            runner,
            surroundings,
            shared,
            greeting,
            process: Some(process),
            parent: None,
            forks: greeting.system & SYSTEM_FORK != 0,
            fresh: false,
            space: AddressSpace::default(),
            child_space: AddressSpace::default(),
            library: Library::new(),
            decoded: Decoded::default(),
            plan: BatchPlan::empty(),
            lines: Vec::new(),
            line_count: 0,
            deaths: 0,
            mapped: Vec::new(),
            failed_starts,
        })
    }

    /// Makes sure that there is a process for batches, and a header as it expects it.
    pub(super) fn ensure_process(&mut self) -> Result<(), EngineError> {
        if self.process.is_none() {
            self.space = AddressSpace::default();
            self.mapped.clear();
            self.process = Some(self.start_another()?);
        }
        *self.shared.header() = self.greeting;
        Ok(())
    }

    /// As [`RunnerEngine::ensure_process`], for the process whose children do batches; `false` when it cannot have any.
    pub(super) fn ensure_parent_process(&mut self) -> Result<bool, EngineError> {
        if self.forks && self.parent.is_none() {
            let mut process = self.start_another()?;
            let patience = self.spec.start_patience;
            *self.shared.header() = self.greeting;
            warm_up::write_warm_up_batch(&mut self.shared);
            self.shared.header().mode = self.memory_mode();
            let warm = process.run_batch(&mut self.shared, patience);
            // The same once more shows whether a child comes back.
            match warm.and_then(|_| process.run_in_child(&mut self.shared, patience)) {
                Ok(GuestAnswer::Done) => self.parent = Some(process),
                answer => {
                    debug!(
                        engine = self.spec.name,
                        ?answer,
                        "the engine's processes do not fork"
                    );
                    self.forks = false;
                }
            }
        }
        *self.shared.header() = self.greeting;
        Ok(self.parent.is_some())
    }

    /// Starts a process, and makes sure that the engine is still what it was.
    fn start_another(&mut self) -> Result<GuestProcess, EngineError> {
        let surroundings = self.surroundings.as_deref();
        let process = start_process(
            (&self.spec, &self.runner, surroundings),
            &mut self.shared,
            LATER_STARTS,
            &mut self.failed_starts,
        )?;
        // Asking for the version costs a process: only when the engine's files have changed.
        let stamps = identity::read_engine_stamps(&self.spec);
        let version = if stamps == self.stamps {
            Some(self.identity.version.clone())
        } else {
            identity::query_engine_version(&self.spec, surroundings)
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
        Ok(process)
    }

    /// Runs every start of every group.
    fn run_batch(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        self.space.begin_batch();
        self.decoded
            .decode_groups(groups, &self.identity.cpu, &self.spec.lacks);
        batch::check_batch(groups, &self.decoded.lowered)?;
        // A single group is alone: nothing but its own pages is mapped. A fresh process has nothing that could be kept.
        let keep = groups.len() > 1 && !self.fresh;
        let options = plan::PlanOptions {
            keep_code: self.spec.native && keep,
            park: keep,
            framed: self.spec.memory == MemoryMode::Scan,
            untouched: self.untouched(),
            x87_order: self.x87_order(),
        };
        self.plan = BatchPlan::write_batch(
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
        self.line_count = 0;
        let count = self.plan.run_count as u32;
        self.run_range(0, count)?;
        self.redo_surprises(groups)?;
        match self.x87_order() {
            X87Order::Unknown => self.exclude_x87_top(groups),
            X87Order::Pushed => self.forget_x87_ends(),
            X87Order::Stack | X87Order::Physical => {}
        }
        if self.spec.memory == MemoryMode::Copy {
            self.find_lines(groups);
        }
        debug_assert!(
            self.plan
                .outputs(&self.shared)
                .iter()
                .all(|output| output.exit != EXIT_NONE)
        );
        Ok(())
    }

    /// What [`RunnerEngine::run_batch`] has left in the shared file.
    fn results<'e>(&'e self, groups: &'e [Group], space: &'e AddressSpace) -> Results<'e> {
        let lines = match self.spec.memory {
            MemoryMode::Scan => self.shared.slice(MEMORY_OFFSET, self.line_count as usize),
            MemoryMode::Copy => &self.lines,
        };
        Results::in_shared_file(
            (groups, &self.decoded.lowered, &self.decoded.unsupported),
            self.identity.components,
            (&self.plan.blocks, self.plan.end_states(&self.shared), lines),
            space,
        )
    }

    /// What the guest is told that blocks leave alone.
    fn untouched(&self) -> u32 {
        if !self.spec.shortcuts {
            return 0;
        }
        // A CPU changes nothing that the instruction does not name. An emulator might, by a register that it uses for
        // something else: then it does so in every run of the block, the last one included. Vector registers are at stake
        // in any code, and cost it little.
        let vectors = if self.spec.native { SKIP_VECTORS } else { 0 };
        SKIP_MEMORY | SKIP_OTHER_LINES | SKIP_X87 | vectors
    }

    /// How the guest takes x87 registers.
    pub(super) fn x87_order(&self) -> X87Order {
        X87Order::from_header(&self.greeting)
    }

    /// Where FXRSTOR does not load x87 registers FXSAVE does not store them either.
    fn forget_x87_ends(&mut self) {
        let count = self.plan.run_count;
        for output in &mut self.plan.outputs_mut(&mut self.shared)[..count] {
            output.stored &= !STORED_X87;
        }
    }

    /// Marks the runs whose x87 state the engine did not load as the case has it, where the block has to do with it; elsewhere
    /// that state is not looked at.
    fn exclude_x87_top(&mut self, groups: &[Group]) {
        let blocks = self.plan.blocks.clone();
        let uses_x87 = |index: usize| self.decoded.left[index].untouched & SKIP_X87 == 0;
        let uses_x87: Vec<bool> = (0..groups.len()).map(uses_x87).collect();
        let outputs = self.plan.outputs_mut(&mut self.shared);
        for ((block, group), uses_x87) in blocks.iter().zip(groups).zip(uses_x87) {
            for (start, output) in group.starts.iter().zip(&mut outputs[block.first_run as usize..]) {
                if block.run_count == 0 || group.vector_pool[start.vectors as usize].x87.top() == 0 {
                    continue;
                }
                if uses_x87 {
                    output.exit = EXIT_X87_TOP;
                    output.line_count = 0;
                } else {
                    output.stored &= !STORED_X87;
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
        self.run_batch(groups)?;
        Ok(self.results(groups, &self.space))
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.fresh = true;
        let done = self.run_batch(groups);
        self.fresh = false;
        done?;
        Ok(self.results(groups, &self.child_space))
    }

    fn run_programs(&mut self, programs: &[TestProgram]) -> Result<Vec<ProgramOutcome>, EngineError> {
        programs::run_test_programs(self, programs)
    }

    fn failed_starts(&self) -> u32 {
        self.failed_starts
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        self.process = None;
        self.ensure_process()
    }
}

/// [`Header::x87_order`] of an engine that loads x87 registers in no order.
const NO_X87_ORDER: u64 = u64::MAX;
/// How often the first process of an engine is started at most: a command that is wrong is to be told soon.
const FIRST_STARTS: u32 = 2;
/// The same for processes after it. Of FEX's one in forty does not come up on a busy machine.
pub(super) const LATER_STARTS: u32 = 5;
/// Wait before the second start; each wait after it is three times as long.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);

/// As [`spawn`], which is tried up to `most` times; `failed` counts what did not come up.
fn start_process(
    (spec, runner, surroundings): (&EngineSpec, &RunnerFile, Option<&Surroundings>),
    shared: &mut Shared,
    most: u32,
    failed: &mut u32,
) -> Result<GuestProcess, EngineError> {
    let mut wait = FIRST_WAIT;
    for start in 1.. {
        let error = match spawn(spec, runner, surroundings, shared) {
            Err(error @ (EngineError::Handshake { .. } | EngineError::Talk { .. })) if start < most => error,
            done => return done,
        };
        *failed += 1;
        warn!(
            engine = spec.name,
            %error,
            failed_starts = *failed,
            "a process of the engine did not come up; it is started again"
        );
        std::thread::sleep(wait);
        wait *= 3;
    }
    unreachable!("the last start is returned")
}

/// Starts a guest and waits until it has filled the header.
fn spawn(
    spec: &EngineSpec,
    runner: &RunnerFile,
    surroundings: Option<&Surroundings>,
    shared: &mut Shared,
) -> Result<GuestProcess, EngineError> {
    shared.reset_header();
    let arguments = spec.build_command_line(runner.path(spec.runner), &shared.path());
    let (program, rest) = arguments.split_first().expect("a spec has a program");
    let mut command = Command::new(program);
    if let Some(surroundings) = surroundings {
        surroundings.apply_to_command(&mut command);
    }
    command
        .args(rest)
        .envs(spec.environment.iter().map(|(name, value)| (name, value)));
    let mut process = GuestProcess::spawn_command(command).map_err(|source| {
        if spec.native && source.raw_os_error() == Some(libc::ENOEXEC) {
            return EngineError::NoCpu;
        }
        EngineError::Start {
            engine: spec.name.clone(),
            program: program.clone(),
            source,
        }
    })?;
    let fail = |process: &mut GuestProcess, problem: String| EngineError::Handshake {
        engine: spec.name.clone(),
        problem,
        stderr: process.last_words(),
    };
    // An empty batch is the handshake.
    match process.run_batch(shared, spec.start_patience) {
        Ok(GuestAnswer::Done) if shared.header().ready == 1 => Ok(process),
        Ok(GuestAnswer::Done | GuestAnswer::ChildDied(_) | GuestAnswer::NoChild) => {
            Err(fail(&mut process, "it answered without having run it".into()))
        }
        Ok(GuestAnswer::Died(status)) => {
            Err(fail(&mut process, format!("it {}", describe_exit_status(status))))
        }
        Ok(GuestAnswer::Hung) => Err(fail(&mut process, "it did not answer in time".into())),
        Ok(GuestAnswer::Garbage(bytes)) => {
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
