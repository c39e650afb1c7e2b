//! An engine as settings have it: a table of TOML that says how it is started and what is known about it.
//!
//! ```
//! use snippex_exec::engine::{EngineEntry, EngineTable};
//!
//! let mine = EngineEntry {
//!     command: Some("myemu -O2 {runner}".into()),
//!     limits: vec!["no x87".into()],
//!     ..EngineEntry::default()
//! };
//! let table = EngineTable::new([("myemu".to_owned(), mine)]);
//! assert_eq!(table.resolve_spec("myemu")?.command, ["myemu", "-O2", "{runner}"]);
//! assert!(table.resolve_spec("bochs").is_err());
//! # Ok::<(), snippex_exec::engine::SpecError>(())
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snippex_core::diff::{Deviates, Deviation, Tolerance};
use snippex_core::state::Components;

/// How an engine is started and what is known about it. Everything but the command may be left out; an entry with the
/// name of a preset lays what it has over the preset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineEntry {
    /// The preset that it is like in all that it does not say itself [default: the one of its name].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Program and arguments. `{runner}` stands for the x86-64 program to run (at the end when it is not named),
    /// `{program}` for the first of `programs` that is there, `{arguments}` for those of the configuration (before
    /// `{runner}` when it is not named).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Names of the program, the one to prefer first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Names of the program that runs 32-bit programs, the one to prefer first: in the command it takes the place of the one of
    /// `programs`, in whose folder it has to be. The same name where one program runs both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs_32: Vec<String>,
    /// Command that prints the version, when that is not the program with `--version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Command of a server that runs while engines do, such as FEXServer; passed over when its program is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Variables set for the engine and its server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// HOME, the XDG folders and those of FEX lead to an empty folder of this run's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
    /// The runner that it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<RunnerStyle>,
    /// Where memory is compared and put back. Where `preadv` and `pwritev` do not work it is `guest` whatever is said here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStyle>,
    /// Whether a block's runs, the last one apart, leave out memory and x87 when no instruction of it stores to or uses
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcuts: Option<bool>,
    /// What holds when a run ends in a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signals: Option<SignalStyle>,
    /// The list of documented deviations that are noted and not counted as bugs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviations: Option<Deviations>,
    /// `false` where runs that start with another x87 TOP than 0 are to be left out of blocks that use x87. Else the runner
    /// finds out in which order FXRSTOR takes the registers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loads_x87_top: Option<bool>,
    /// Parts of the machine state that it does not keep, and that are not compared: x87, avx, avx512, segment-bases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaves_out: Vec<Part>,
    /// CPUID features, by the names of iced-x86 in lower case, that it announces and does not have: blocks that need
    /// one are not run. `x87-state`: x87 and MMX registers cannot be loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// Files that the program starts or reads, and that decide what it computes: absolute, from the home folder (`~/`), or
    /// relative to the program's folder. Those that are there are part of what a cached verdict depends on; a script is
    /// cached only when it has some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub program_files: Vec<String>,
    /// Longest time of a run, in seconds, for a process that computes; one that is kept waiting, by a busy machine or the kernel, has
    /// at least 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// Longest time from starting a process to the runner's first answer, in seconds [default: 20]. A start that fails is tried
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_patience: Option<u32>,
    /// What it is known not to do, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// How to install it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Named configurations, each an engine of its own: `NAME/CONFIGURATION`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configurations: BTreeMap<String, Configuration>,
}

/// What makes a configuration of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Variables set in addition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Arguments of the engine in addition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Documented deviations, where they are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviations: Option<Deviations>,
    /// Documented deviations that it does not have, by their names: there it does as hardware does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// A part of the machine state that an engine may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// x87 registers, tags, control and status word.
    X87,
    /// Bits 128 and up of vector registers.
    Avx,
    /// Bits 256 and up of vector registers, and opmask registers.
    Avx512,
    /// FS and GS base.
    SegmentBases,
}

impl Part {
    /// As states have it.
    #[must_use]
    pub const fn component(self) -> Components {
        match self {
            Self::X87 => Components::X87,
            Self::Avx => Components::AVX,
            Self::Avx512 => Components::AVX512,
            Self::SegmentBases => Components::SEGMENT_BASES,
        }
    }
}

/// Which build of the runner an engine is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunnerStyle {
    /// A static program that makes system calls: every engine but a few can run it.
    #[default]
    Static,
    /// One that calls libc, for an engine that has its own and knows more of programs that call it, as box64 does.
    Libc,
}

/// Where memory that a block may write is compared and put back between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryStyle {
    /// In the guest: fast on a CPU.
    Guest,
    /// By the host, through one `preadv` and one `pwritev` a run: fast under an emulator.
    Host,
}

/// What holds when a run ends in a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalStyle {
    /// The whole state is as the instruction found it.
    Precise,
    /// Signal and RIP are right; registers may be stale.
    RipOnly,
}

/// A list of documented deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviations {
    /// None: every difference counts.
    None,
    /// Those of qemu-user.
    Qemu,
    /// Those of valgrind.
    Valgrind,
    /// Those of FEX-Emu.
    Fex,
    /// Those of FEX-Emu, x87 in double precision included.
    FexReducedPrecision,
    /// Those of box64.
    Box64,
}

impl Deviations {
    fn tolerance(self) -> Tolerance {
        match self {
            Self::None => Tolerance::none(),
            Self::Qemu => Tolerance::qemu_user(),
            Self::Valgrind => Tolerance::for_valgrind(),
            Self::Fex => Tolerance::for_fex(),
            Self::FexReducedPrecision => Tolerance::fex_reduced_precision(),
            Self::Box64 => Tolerance::box64(),
        }
    }
}

impl EngineEntry {
    /// This entry with what `over` has laid over it: lists and values are replaced, tables joined.
    #[must_use]
    pub fn overlaid_with(mut self, over: &Self) -> Self {
        fn value<T: Clone>(under: &mut Option<T>, over: &Option<T>) {
            if over.is_some() {
                under.clone_from(over);
            }
        }
        fn list<T: Clone>(under: &mut Vec<T>, over: &[T]) {
            if !over.is_empty() {
                *under = over.to_vec();
            }
        }
        value(&mut self.command, &over.command);
        list(&mut self.programs, &over.programs);
        list(&mut self.programs_32, &over.programs_32);
        value(&mut self.version, &over.version);
        value(&mut self.server, &over.server);
        self.environment.extend(over.environment.clone());
        value(&mut self.isolated, &over.isolated);
        value(&mut self.runner, &over.runner);
        value(&mut self.memory, &over.memory);
        value(&mut self.shortcuts, &over.shortcuts);
        value(&mut self.signals, &over.signals);
        value(&mut self.deviations, &over.deviations);
        value(&mut self.loads_x87_top, &over.loads_x87_top);
        list(&mut self.leaves_out, &over.leaves_out);
        list(&mut self.lacks, &over.lacks);
        list(&mut self.program_files, &over.program_files);
        value(&mut self.like, &over.like);
        value(&mut self.patience, &over.patience);
        value(&mut self.start_patience, &over.start_patience);
        list(&mut self.limits, &over.limits);
        value(&mut self.hint, &over.hint);
        self.configurations.extend(over.configurations.clone());
        self
    }

    /// What is noted and not counted as a bug, in these configurations.
    #[must_use]
    pub fn tolerance(&self, configurations: &[&Configuration]) -> Tolerance {
        let other = configurations
            .iter()
            .rev()
            .find_map(|configuration| configuration.deviations);
        let list = other.or(self.deviations).unwrap_or(Deviations::None);
        let mut tolerance = list.tolerance();
        let conforms = |id: &str| {
            let mut without = configurations
                .iter()
                .flat_map(|configuration| &configuration.without);
            without.any(|without| without == id)
        };
        tolerance.deviations.retain(|deviation| !conforms(&deviation.id));
        let known = tolerance
            .deviations
            .iter()
            .any(|deviation| deviation.deviates == Deviates::StateAtSignal);
        if self.signals == Some(SignalStyle::RipOnly) && !known {
            tolerance.deviations.push(Deviation {
                id: "state-at-signal".into(),
                what: "registers and flags at a signal are stale, as its entry says".into(),
                deviates: Deviates::StateAtSignal,
            });
        }
        tolerance
    }
}
