//! This machine, in the words of [`Environment`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cli_kit::{CancelToken, Failure};
use regress_core::environment::Environment;

use crate::process::Job;

/// How long a toolchain may take to tell its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts that can be ignored.
const PARTS: [&str; 7] = ["os", "arch", "cpu", "cores", "memory", "kernel", "compiler"];

/// What can be found out about this machine, with the user's tags and without the parts that do not count.
pub(crate) fn detect_environment(
    tags: &BTreeMap<String, String>,
    ignored: &[String],
    cancel: &CancelToken,
) -> Result<Environment, Failure> {
    if let Some(unknown) = ignored.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(Failure::new(format!(
            "cannot ignore {unknown:?}, which is no part of the environment"
        ))
        .hint(format!("known are {}", PARTS.join(", "))));
    }
    let counts = |part: &str| !ignored.iter().any(|one| one == part);
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let cores = std::thread::available_parallelism()
        .ok()
        .and_then(|count| u32::try_from(count.get()).ok());
    Ok(Environment {
        os: Some(std::env::consts::OS.to_owned()).filter(|_| counts("os")),
        arch: Some(std::env::consts::ARCH.to_owned()).filter(|_| counts("arch")),
        cpu: read("/proc/cpuinfo")
            .and_then(|text| processor(&text))
            .filter(|_| counts("cpu")),
        cores: cores.filter(|_| counts("cores")),
        memory_mib: read("/proc/meminfo")
            .and_then(|text| memory(&text))
            .filter(|_| counts("memory")),
        kernel: read("/proc/sys/kernel/osrelease")
            .map(|text| text.trim().to_owned())
            .filter(|_| counts("kernel")),
        compiler: compiler(cancel).filter(|_| counts("compiler")),
        tags: tags.clone(),
    })
}

/// The environment for a heading, the parts people know a machine by.
pub(crate) fn describe_environment(environment: &Environment) -> String {
    let cores = environment.cores.map(|cores| format!("{cores} cores"));
    let parts = [
        &environment.os,
        &environment.arch,
        &environment.cpu,
        &cores,
        &environment.compiler,
    ];
    let tags = environment
        .tags
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let known: Vec<String> = parts.into_iter().flatten().cloned().chain(tags).collect();
    if known.is_empty() {
        "unknown environment".to_owned()
    } else {
        known.join(", ")
    }
}

fn processor(cpuinfo: &str) -> Option<String> {
    let value = |name: &str| {
        let line = cpuinfo
            .lines()
            .find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned()).filter(|value| !value.is_empty())
    };
    // ARM kernels name no model, but implementer and part.
    value("model name").or_else(|| {
        Some(format!(
            "implementer {} part {}",
            value("CPU implementer")?,
            value("CPU part")?
        ))
    })
}

/// Whole GiB in MiB: what the kernel keeps for itself differs from boot to boot.
fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib.div_ceil(1 << 20) * 1024)
}

/// The compiler; a toolchain that does not answer is as good as none.
fn compiler(cancel: &CancelToken) -> Option<String> {
    let command = ["rustc", "--version"].map(str::to_owned);
    let job = Job {
        command: &command,
        directory: Path::new("."),
        variables: &[],
        timeout: VERSION_TIMEOUT,
    };
    let printed = job.run_to_end(cancel).ok()?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Some(words.join(" ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_of_both_kinds_have_names() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: AMD EPYC 7763\n").as_deref(),
            Some("AMD EPYC 7763")
        );
        assert_eq!(
            processor("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n").as_deref(),
            Some("implementer 0x41 part 0xd0c")
        );
        assert_eq!(processor(""), None);
    }

    #[test]
    fn memory_is_rounded() {
        assert_eq!(
            memory("MemTotal:       16374584 kB\nMemFree: 1 kB\n"),
            Some(16 * 1024)
        );
        assert_eq!(memory("nothing"), None);
    }

    #[test]
    fn parts_can_be_left_out() {
        let found = detect_environment(
            &BTreeMap::new(),
            &["kernel".into(), "os".into()],
            &CancelToken::default(),
        )
        .unwrap();
        assert_eq!((found.kernel, found.os), (None, None));
        assert!(detect_environment(&BTreeMap::new(), &["moon".into()], &CancelToken::default()).is_err());
    }
}
