//! The CPU of this machine.

use std::fs;
use std::sync::OnceLock;

use snippex_core::host_cpu::HostCpu;

/// The CPU of this machine, read once.
#[must_use]
pub fn this_cpu() -> &'static HostCpu {
    static HERE: OnceLock<HostCpu> = OnceLock::new();
    HERE.get_or_init(|| {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        HostCpu::parse_cpuinfo(std::env::consts::ARCH, &cpuinfo)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_cpu_has_a_name() {
        let cpu = super::this_cpu();
        assert_eq!(cpu.architecture, std::env::consts::ARCH);
        assert_ne!(cpu.display_name(), cpu.architecture);
    }
}
