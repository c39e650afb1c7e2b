//! What an engine is: its version and configuration, and what the guest itself sees.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use snippex_core::host_cpu::HostCpu;
use snippex_core::state::Components;
use snippex_runner::layout::{
    COMPONENT_AVX, COMPONENT_AVX512, COMPONENT_FSGSBASE, Header, Leaf, SYSTEM_COPY, SYSTEM_FAULT,
    SYSTEM_FORK, SYSTEM_SELECTORS, X87_PUSHED,
};

use super::surroundings::Surroundings;
use super::{EngineSpec, this_cpu};

/// What the guest sees of its CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GuestCpu {
    /// Vendor of CPUID leaf 0, such as `GenuineIntel`.
    pub vendor: String,
    /// Brand string of CPUID leaves 0x8000_0002..4.
    pub brand: String,
    /// EAX of CPUID leaf 1: family, model, stepping.
    pub signature: u32,
    /// Signature of CPUID leaf 0x4000_0000, such as `TCGTCGTCGTCG`, `FEXIFEXIEMU` or `KVMKVMKVM`; empty on a CPU
    /// without hypervisor.
    pub hypervisor: String,
    /// Text in CPUID leaf 0x4000_0001 and the three that follow, where FEX puts its version; empty otherwise.
    pub hypervisor_version: String,
    /// XCR0: the state components that the system has enabled.
    pub xcr0: u64,
    /// CPUID leaf 1.
    pub leaf1: Leaf,
    /// CPUID leaf 7, subleaf 0.
    pub leaf7: Leaf,
    /// CPUID leaf 7, subleaf 1.
    pub leaf7_1: Leaf,
    /// CPUID leaf 0x8000_0001.
    pub leaf_ext1: Leaf,
    /// CPUID leaf 0x8000_0008.
    pub leaf_ext8: Leaf,
    /// CPUID leaf 0xd, subleaf 1.
    pub leaf_d1: Leaf,
    /// Page size that the guest is told, in bytes.
    pub page_size: u32,
}

/// An engine as results record it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EngineIdentity {
    /// Name in commands, reports and the database.
    pub name: String,
    /// First line that its version command prints; for `native`, the CPU's brand.
    pub version: String,
    /// Command line, and environment variables that change what it does.
    pub configuration: Vec<String>,
    /// What the guest sees.
    pub cpu: GuestCpu,
    /// Parts of the state it loads and stores.
    pub components: Components,
    /// The CPU that it runs on; what the guest sees may be another one.
    pub host_cpu: HostCpu,
    /// What its system calls do not do, each with what is done instead.
    #[serde(default)]
    pub lacking: Vec<String>,
}

impl EngineIdentity {
    pub(super) fn new(spec: &EngineSpec, header: &Header, version: Option<String>) -> Self {
        let cpu = GuestCpu::read(header);
        let mut configuration = vec![spec.command.join(" ")];
        configuration.extend(
            spec.environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        // FEX, qemu and box64 read their options from here; a result without them could not be repeated.
        let mut inherited: Vec<String> = std::env::vars()
            .filter(|(name, _)| ["FEX_", "QEMU_", "BOX64_"].iter().any(|of| name.starts_with(of)))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        inherited.sort();
        configuration.extend(inherited);
        Self {
            name: spec.name.clone(),
            version: version.unwrap_or_else(|| cpu.brand.clone()),
            configuration,
            components: components(header).difference(spec.leaves_out),
            cpu,
            host_cpu: this_cpu().clone(),
            lacking: lacking(header),
        }
    }

    /// Names of the state components, for reports.
    #[must_use]
    pub fn component_names(&self) -> Vec<&'static str> {
        self.components.names().collect()
    }

    /// One line for people: name and version.
    #[must_use]
    pub fn name_and_version(&self) -> String {
        if self.version.is_empty() {
            self.name.clone()
        } else {
            format!("{} ({})", self.name, self.version)
        }
    }
}

impl GuestCpu {
    fn read(header: &Header) -> Self {
        let [_, b, c, d] = header.leaf0;
        let has_hypervisor = header.leaf1[2] & (1 << 31) != 0;
        let signature = text(&[header.hypervisor[1], header.hypervisor[2], header.hypervisor[3]]);
        // FEX does not set the hypervisor bit in every configuration.
        let known = signature.starts_with("FEX") || signature.starts_with("TCG");
        let hypervisor = if has_hypervisor || known {
            signature
        } else {
            String::new()
        };
        let version = if hypervisor.starts_with("FEX") {
            text(header.hypervisor1.as_flattened())
        } else {
            String::new()
        };
        Self {
            vendor: text(&[b, d, c]),
            brand: text(header.brand.as_flattened()).trim().to_owned(),
            signature: header.leaf1[0],
            hypervisor,
            hypervisor_version: version,
            xcr0: header.xcr0,
            leaf1: stable_leaf1(header.leaf1),
            leaf7: header.leaf7,
            leaf7_1: header.leaf7_1,
            leaf_ext1: header.leaf_ext1,
            leaf_ext8: header.leaf_ext8,
            leaf_d1: header.leaf_d1,
            page_size: header.page_size,
        }
    }

    /// The emulator that the guest runs under, if it says so. Hypervisors that run code on the CPU do not count.
    #[must_use]
    pub fn emulator(&self) -> Option<&str> {
        ["TCGTCGTCGTCG", "FEXIFEXIEMU"]
            .into_iter()
            .find(|known| self.hypervisor.starts_with(known))
            // It has no signature, and calls its processor after itself.
            .or_else(|| self.brand.starts_with("Box64").then_some("Box64"))
    }

    /// The preset for the emulator that the guest runs under, if it says so.
    #[must_use]
    pub fn emulator_preset(&self) -> Option<&'static str> {
        Some(match self.emulator()? {
            "FEXIFEXIEMU" => "fex-emu",
            "Box64" => "box64",
            _ => "qemu-x86_64",
        })
    }
}

/// What the header says that the engine cannot do.
fn lacking(header: &Header) -> Vec<String> {
    let pushed =
        "FXRSTOR does not load x87 registers: they are loaded one by one, and how they end is not compared";
    let pushed = (header.x87_order == X87_PUSHED).then(|| pushed.to_owned());
    let parts = [
        (
            SYSTEM_FORK,
            "processes cannot have children: what is to run alone is started anew each time",
        ),
        (
            SYSTEM_SELECTORS,
            "null selectors cannot be loaded: segment registers keep what a block leaves there",
        ),
        (
            SYSTEM_COPY,
            "preadv and pwritev do not work: memory is compared and put back in the guest",
        ),
        (
            SYSTEM_FAULT,
            "a fault does not reach the program when RSP points to no stack: it ends the engine; for one that has a libc of its \
             own, `runner = \"libc\"` in its entry may help",
        ),
    ];
    parts
        .into_iter()
        .filter(|(ability, _)| header.system & ability == 0)
        .map(|(_, what)| what.to_owned())
        .chain(pushed)
        .collect()
}

/// Without the initial APIC ID (EBX bits 24..31), which depends on the core the guest happens to run on.
fn stable_leaf1(leaf: Leaf) -> Leaf {
    [leaf[0], leaf[1] & 0x00ff_ffff, leaf[2], leaf[3]]
}

fn components(header: &Header) -> Components {
    let mut components = Components::GENERAL.union(Components::SSE);
    if header.x87_order != X87_PUSHED {
        components = components.union(Components::X87);
    }
    for (bit, component) in [
        (COMPONENT_AVX, Components::AVX),
        (COMPONENT_AVX512, Components::AVX512),
        (COMPONENT_FSGSBASE, Components::SEGMENT_BASES),
    ] {
        if header.components & bit != 0 {
            components = components.union(component);
        }
    }
    components
}

/// Printable ASCII up to the first zero.
fn text(words: &[u32]) -> String {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .take_while(|&byte| byte != 0)
        .filter(|byte| (0x20..0x7f).contains(byte))
        .map(char::from)
        .collect()
}

/// What tells whether a file was replaced: device, inode, size, time of its last change.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// Stamps of the files that the engine's command names. An update of the engine changes them.
pub(super) fn read_engine_stamps(spec: &EngineSpec) -> Vec<Stamp> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |word: &String| {
        let places: Vec<_> = if word.contains('/') {
            vec![word.into()]
        } else {
            std::env::split_paths(&path)
                .map(|folder| folder.join(word))
                .collect()
        };
        places
            .iter()
            .find_map(|place| std::fs::metadata(place).ok().filter(Metadata::is_file))
    };
    let words = spec.command.iter().filter(|word| !word.contains("{runner}"));
    words
        .filter_map(found)
        .map(|file| {
            (
                file.dev(),
                file.ino(),
                file.size(),
                file.mtime(),
                file.mtime_nsec(),
            )
        })
        .collect()
}

/// First line that the engine's version command prints, `None` when it does not answer in five seconds.
pub(super) fn query_engine_version(spec: &EngineSpec, surroundings: Option<&Surroundings>) -> Option<String> {
    if spec.native {
        return None;
    }
    let default = vec![spec.command.first()?.clone(), "--version".into()];
    let command = spec.version_command.as_ref().unwrap_or(&default);
    let (program, arguments) = command.split_first()?;
    let mut asked = Command::new(program);
    if let Some(surroundings) = surroundings {
        surroundings.apply_to_command(&mut asked);
    }
    let mut child = asked
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut output = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take()?, &mut output).ok()?;
    let line = output.lines().next()?.trim();
    (!line.is_empty()).then(|| line.chars().take(200).collect())
}
