//! The CPU that an engine runs on: what a result depends on apart from the engine itself.

use serde::{Deserialize, Serialize};

/// A CPU as its kernel describes it in `/proc/cpuinfo`. Two of them that are equal compute the same.
///
/// A field is empty where the kernel says nothing of it: ARM64 has no brand, a virtual machine may hide the microcode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostCpu {
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// `vendor_id`; on ARM64 `CPU implementer`.
    pub vendor: String,
    /// `cpu family`; on ARM64 `CPU architecture`.
    pub family: String,
    /// `model`; on ARM64 `CPU part`.
    pub model: String,
    /// `stepping`; on ARM64 `CPU variant` and `CPU revision`, as `0x1 2`.
    pub stepping: String,
    /// `microcode`.
    pub microcode: String,
    /// `model name`.
    pub brand: String,
}

impl HostCpu {
    /// The first CPU of `cpuinfo`, text as `/proc/cpuinfo` has it, of a machine of `architecture`.
    ///
    /// Cores of different kinds on one machine (big and little) are described by the first.
    #[must_use]
    pub fn parse_cpuinfo(architecture: &str, cpuinfo: &str) -> Self {
        let field = |name: &str| {
            let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(key, _)| key.trim() == name);
            found.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let either = |x86: &str, arm: &str| {
            let value = field(x86);
            if value.is_empty() { field(arm) } else { value }
        };
        let stepping = either("stepping", "CPU variant");
        let revision = field("CPU revision");
        Self {
            architecture: architecture.to_owned(),
            vendor: either("vendor_id", "CPU implementer"),
            family: either("cpu family", "CPU architecture"),
            model: either("model", "CPU part"),
            stepping: format!("{stepping} {revision}").trim().to_owned(),
            microcode: field("microcode"),
            brand: field("model name"),
        }
    }

    /// One line for people: the brand, or the numbers where it has none.
    #[must_use]
    pub fn display_name(&self) -> String {
        let numbers = format!(
            "{} {} family {} model {} stepping {}",
            self.architecture, self.vendor, self.family, self.model, self.stepping
        );
        match (self.brand.is_empty(), self.vendor.is_empty()) {
            (false, _) => self.brand.clone(),
            (true, false) => numbers,
            (true, true) => self.architecture.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_x86_cpu_is_read_from_its_first_entry() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\
                    model name\t: AMD EPYC 9R14\nstepping\t: 1\nmicrocode\t: 0xa101148\n\nprocessor\t: 1\nmodel\t: 99\n";
        let cpu = HostCpu::parse_cpuinfo("x86_64", text);
        assert_eq!((&*cpu.family, &*cpu.model, &*cpu.stepping), ("25", "17", "1"));
        assert_eq!(
            (&*cpu.microcode, &*cpu.display_name()),
            ("0xa101148", "AMD EPYC 9R14")
        );
    }

    #[test]
    fn an_arm_cpu_is_told_by_its_numbers() {
        let text = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU architecture: 8\n\
                    CPU variant\t: 0x1\nCPU part\t: 0xd40\nCPU revision\t: 1\n";
        let cpu = HostCpu::parse_cpuinfo("aarch64", text);
        assert_eq!(
            cpu.display_name(),
            "aarch64 0x41 family 8 model 0xd40 stepping 0x1 1"
        );
    }

    #[test]
    fn nothing_is_made_up() {
        assert_eq!(HostCpu::parse_cpuinfo("riscv64", "").display_name(), "riscv64");
    }
}
