//! This machine, as the database records it.

use std::fs;
use std::thread::available_parallelism;

use snippex_store::Host;

/// What `/proc` says; unknown where it says nothing.
#[must_use]
pub fn this_host() -> Host {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "CPU implementer").then(|| value.trim().to_owned())
    });
    Host {
        name: first_line("/proc/sys/kernel/hostname"),
        architecture: std::env::consts::ARCH.to_owned(),
        cpu_model: model.unwrap_or_else(|| "unknown".to_owned()),
        cpu_count: available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        kernel: format!(
            "{} {}",
            first_line("/proc/sys/kernel/ostype"),
            first_line("/proc/sys/kernel/osrelease")
        ),
        page_size: page_size().unwrap_or(4096),
    }
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// AT_PAGESZ of the auxiliary vector: pairs of native words.
fn page_size() -> Option<u32> {
    const AT_PAGESZ: u64 = 6;
    let vector = fs::read("/proc/self/auxv").ok()?;
    let (pairs, _) = vector.as_chunks::<16>();
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    let pair = pairs.iter().find(|pair| word(&pair[..8]) == AT_PAGESZ)?;
    u32::try_from(word(&pair[8..])).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_size_is_a_power_of_two() {
        assert!(super::page_size().unwrap().is_power_of_two());
        assert!(!super::this_host().kernel.contains("unknown"));
    }
}
