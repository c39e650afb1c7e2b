//! An engine in answers for programs.

use serde::Serialize;
use snippex_core::host_cpu::HostCpu;

/// What an engine says it is, and the part it had.
#[derive(Clone, Debug, Serialize)]
pub struct EngineView {
    /// What the user calls it.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// Parts of the machine state that it covers.
    pub features: Vec<&'static str>,
    /// The CPU that it ran on.
    pub host_cpu: HostCpu,
    /// `reference`, `subject` or `simulated`.
    pub role: &'static str,
    /// Command line, and environment variables that change what it does.
    pub configuration: Vec<String>,
}
