//! Engines: whatever executes x86-64 code. One trait, and an implementation for everything that can run the
//! runner: the kernel (native), qemu-user, FEX, or a command of the user's own.

mod attempts;
mod captured;
mod decoded;
mod entry;
mod features;
mod hint;
mod host_cpu;
mod identity;
mod mock;
mod own_folder;
mod presets;
mod program_32;
mod program_files;
mod programs;
mod runner_engine;
mod runner_file;
mod shared_engine;
mod spec;
mod surroundings;
mod table;

pub use entry::{Configuration, Deviations, EngineEntry, MemoryStyle, Part, RunnerStyle, SignalStyle};
pub use features::feature_named;
pub(crate) use features::feature_text;
pub use host_cpu::this_cpu;
pub use identity::{EngineIdentity, GuestCpu};
pub use mock::MockEngine;
pub use own_folder::{OwnFolder, remove_own_folders};
pub use program_files::{ProgramDigests, digest_file};
pub use programs::ProgramOutcome;
pub use runner_engine::RunnerEngine;
pub use shared_engine::EngineShare;
#[cfg(feature = "remote")]
pub(crate) use spec::split_words;
pub use spec::{EngineSpec, MemoryMode, SpecError};
pub use table::EngineTable;

use snippex_core::case::PageAccess;
use snippex_core::group::Group;
use snippex_formats::conformance::TestProgram;
use thiserror::Error;

use crate::batch::BatchError;
use crate::discovery::CaseOrigin;
use crate::results::{Results, ResultsError, Unsupported};

/// Executes cases and reports how they ended.
///
/// An engine that cannot run a case says so per group ([`crate::RunOutcome::Unsupported`]); an engine that dies or
/// hangs in a run reports that as the run's endpoint and goes on with a fresh process.
pub trait Engine: Send {
    /// What the engine is, as it describes itself.
    fn identity(&self) -> &EngineIdentity;

    /// Names and digests of its program files, of an engine on another host, which alone can look at them.
    fn remote_programs(&self) -> Option<&ProgramDigests> {
        None
    }

    /// Runs every start of every group. The groups must fit a batch: see [`crate::batch::split_into_batches`].
    ///
    /// The results may lie in the engine's memory, or be kept by it as [`crate::OwnedResults`]: both are compared alike.
    ///
    /// # Errors
    /// When the groups do not fit or are not valid, or the engine cannot be started (again).
    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError>;

    /// As [`Engine::run`], when it is known how the runs ended on another engine: one that is far away need then not send what is
    /// the same. What it gives is what [`Engine::run`] would, except that of a run with the same bits as in `expected` nothing
    /// can be told but that.
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn run_expecting<'e>(
        &'e mut self,
        groups: &'e [Group],
        expected: &Results<'_>,
    ) -> Result<Results<'e>, EngineError> {
        let _ = expected;
        self.run(groups)
    }

    /// Whether the engine makes cases again where it is, and so is to be told where they come from.
    fn makes_cases(&self) -> bool {
        false
    }

    /// Tells an engine that makes cases again where those of the groups to come are from. Others are sent to it as a whole.
    fn cases_come_from(&mut self, origin: &CaseOrigin) {
        let _ = origin;
    }

    /// As [`Engine::run`], in a process that has run nothing before: what earlier runs may have done to the engine does
    /// not show. An engine that dies or hangs is tried once more in another such process.
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.restart()?;
        self.run(groups)
    }

    /// Runs whole programs, each until a signal ends it, and says for each how it ended.
    ///
    /// Unless it is an engine that runs the runner, it runs cases only, and says that.
    ///
    /// # Errors
    /// When the engine cannot be started (again).
    fn run_programs(&mut self, programs: &[TestProgram]) -> Result<Vec<ProgramOutcome>, EngineError> {
        Ok(vec![
            ProgramOutcome::Unsupported(Unsupported::Programs);
            programs.len()
        ])
    }

    /// Every page that the cases of `draft` need, from an engine that remembers them. `None`, as from all engines that run
    /// cases: discovery runs them to find out.
    fn remembered_pages(&mut self, draft: &Group) -> Option<Vec<(u64, PageAccess)>> {
        let _ = draft;
        None
    }

    /// Starts of its processes that failed so far, each of which was tried again.
    fn failed_starts(&self) -> u32 {
        0
    }

    /// Makes the next run start in a fresh process, free of anything earlier runs may have done to it.
    ///
    /// # Errors
    /// When the engine cannot be started.
    fn restart(&mut self) -> Result<(), EngineError>;
}

/// Why an engine cannot be used.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The batch is at fault.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Results that the engine keeps or was sent do not fit the batch.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Preparing shared memory or the runner's file failed; the source says which.
    #[error("failed to prepare engine {engine}")]
    Prepare {
        /// Name of the engine.
        engine: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The recording that stands in for the engine cannot be used.
    #[cfg(feature = "recordings")]
    #[error(transparent)]
    Recording(Box<crate::recording::RecordingError>),
    /// Its host cannot be used.
    #[cfg(feature = "remote")]
    #[error(transparent)]
    Remote(Box<crate::remote::RemoteError>),
    /// The program is missing or may not be executed.
    #[error("failed to start {program} for engine {engine}")]
    Start {
        /// Name of the engine.
        engine: String,
        /// The program of its command.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program started but did not run the runner.
    #[error("engine {engine} did not run the runner: {problem}{}", said(.stderr))]
    Handshake {
        /// Name of the engine.
        engine: String,
        /// What it did instead.
        problem: String,
        /// Last lines of its standard error.
        stderr: String,
    },
    /// `native` has no processor: this program, or the system, is of another architecture.
    #[error("this machine has no x86-64 processor, which engine native needs")]
    NoCpu,
    /// `native` is an emulator in disguise (binfmt_misc).
    #[error("this machine runs x86-64 programs under {found}: engine native needs a real x86-64 CPU")]
    NotNative {
        /// What the guest sees.
        found: String,
    },
    /// The engine is another one than at the start.
    #[error("engine {engine} changed while in use: it was {before}, now it is {after}; start again")]
    Changed {
        /// Name of the engine.
        engine: String,
        /// Description at the start.
        before: String,
        /// Description now.
        after: String,
    },
    /// It dies in one run after the other.
    #[error("engine {engine} died in {count} runs in a row{}", said(.stderr))]
    KeepsDying {
        /// Name of the engine.
        engine: String,
        /// Number of deaths without a completed run between them.
        count: u32,
        /// Last lines of its standard error.
        stderr: String,
    },
    /// Talking to the process failed.
    #[error("failed to talk to engine {engine}")]
    Talk {
        /// Name of the engine.
        engine: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl EngineError {
    /// Whether its host was lost, so that another may do what it could not.
    #[must_use]
    pub fn is_lost_host(&self) -> bool {
        #[cfg(feature = "remote")]
        if let Self::Remote(error) = self {
            return error.is_lost_host();
        }
        false
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!("; it printed: {stderr}")
    }
}
