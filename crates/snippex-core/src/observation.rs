//! An observation: how one run of a case ended on one engine.

use serde::{Deserialize, Serialize};

use crate::state::MachineState;

/// Bytes in the unit in which written memory is reported.
pub const LINE_SIZE: usize = 64;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// The terminator was executed (or the last instruction of a fall-through block), and control went to
    /// `target`, a run-time address in code (`file address + code_base` for direct branches).
    Exit {
        /// Run-time address that RIP would have had next.
        target: u64,
    },
    /// A signal was delivered.
    Signal(Signal),
    /// The run did not end in time and was killed.
    Hung,
    /// The engine itself died: killed by this signal or exited by itself (`None`).
    EngineDied {
        /// Number of the signal that killed the engine's process, if one did.
        signal: Option<i32>,
    },
}

/// A signal as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signal {
    /// Linux signal number: 4 SIGILL, 5 SIGTRAP, 7 SIGBUS, 8 SIGFPE, 11 SIGSEGV.
    pub number: u8,
    /// `si_code`. Implementation-defined; shown, not compared.
    pub code: i32,
    /// Run-time address of the instruction that RIP pointed at.
    pub rip: u64,
    /// `si_addr`. Compared for page faults only.
    pub address: u64,
    /// Whether the page-fault error code says that the access was a write. Shown, not compared.
    pub write: bool,
}

/// Illegal instruction (Linux's number, as all that follow).
pub const SIGILL: u8 = 4;
/// Breakpoint or single step.
pub const SIGTRAP: u8 = 5;
/// Memory that is mapped but not there, or a stack fault.
pub const SIGBUS: u8 = 7;
/// Division, or an unmasked floating-point exception.
pub const SIGFPE: u8 = 8;
/// Memory that may not be accessed, or a general protection fault.
pub const SIGSEGV: u8 = 11;

/// The Linux name of a signal: `SIGSEGV`.
#[must_use]
pub fn signal_name(number: i32) -> String {
    let name = match number {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

/// A 64-byte line of memory whose content after the run is not what the case had there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangedLine {
    /// Run-time address, a multiple of [`LINE_SIZE`].
    pub address: u64,
    /// Content after the run.
    pub bytes: [u8; LINE_SIZE],
}

/// How a run of a case ended on one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Exit taken, signal, or no end at all. For the last two kinds `state` and `memory` mean nothing.
    pub endpoint: Endpoint,
    /// Registers at the end. Components that the engine does not support hold the start values.
    pub state: MachineState,
    /// Changed memory in ascending order of address.
    pub memory: Vec<ChangedLine>,
}
