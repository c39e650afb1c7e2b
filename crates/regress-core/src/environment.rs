//! Where a measurement was taken: the key that decides what may be compared with what.
//!
//! The values are given by the caller; nothing is read from the machine here.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The parts of the key. Equal environments have all parts equal; a part that is not known is `None` and differs
/// from a part that is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Operating system, `linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Instruction set, `x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Processor model, `AMD EPYC 7763 64-Core Processor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Logical cores the process may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Memory in MiB, rounded by the caller so that a kernel's reserve does not make another machine of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Kernel release, `6.8.0-1017-azure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Compiler with version, `rustc 1.90.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// The user's own parts, `runner=bench-1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// One part in which two environments differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartDifference {
    /// The part: `os`, `arch`, `cpu`, `cores`, `memory`, `kernel`, `compiler`, or `tag NAME`.
    pub part: String,
    /// Its value in the first environment.
    pub left: Option<String>,
    /// Its value in the second.
    pub right: Option<String>,
}

impl PartDifference {
    /// Whether one side does not know the part, rather than knowing it to be something else.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.left.is_none() || self.right.is_none()
    }
}

impl fmt::Display for PartDifference {
    /// `cpu: A, here B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(
            f,
            "{}: {}, here {}",
            self.part,
            show(&self.left),
            show(&self.right)
        )
    }
}

impl Environment {
    /// All known parts by name, in a fixed order, tags last.
    fn parts(&self) -> Vec<(String, String)> {
        let mut parts = Vec::new();
        let mut push = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                parts.push((name.to_owned(), normal(&value)));
            }
        };
        push("os", self.os.clone());
        push("arch", self.arch.clone());
        push("cpu", self.cpu.clone());
        push("cores", self.cores.map(|n| n.to_string()));
        push("memory", self.memory_mib.map(|n| format!("{n} MiB")));
        push("kernel", self.kernel.clone());
        push("compiler", self.compiler.clone());
        for (name, value) in &self.tags {
            push(&format!("tag {name}"), Some(value.clone()));
        }
        parts
    }

    /// The canonical text of the key: `os=linux; arch=x86_64; cpu=...`. Equal for equal environments and
    /// different for different ones: `;`, `=` and `\` within a value are escaped.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let part = |(name, value): &(String, String)| format!("{}={}", escape(name), escape(value));
        self.parts().iter().map(part).collect::<Vec<_>>().join("; ")
    }

    /// A short name for tables and file names: 16 hexadecimal digits of FNV-1a over [`Environment::canonical_text`].
    /// It is a label, not an identity: comparisons use all parts.
    #[must_use]
    pub fn short_hash(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self.canonical_text().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        format!("{hash:016x}")
    }

    /// The parts in which `self` and `other` differ; empty when they may be compared.
    #[must_use]
    pub fn differing_parts(&self, other: &Self) -> Vec<PartDifference> {
        let left: BTreeMap<_, _> = self.parts().into_iter().collect();
        let right: BTreeMap<_, _> = other.parts().into_iter().collect();
        let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
        names
            .into_iter()
            .filter(|name| left.get(*name) != right.get(*name))
            .map(|name| PartDifference {
                part: name.clone(),
                left: left.get(name).cloned(),
                right: right.get(name).cloned(),
            })
            .collect()
    }

    /// Whether measurements of the two may be compared without being asked to.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.differing_parts(other).is_empty()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical_text())
    }
}

/// White space runs as one space: /proc/cpuinfo pads processor names.
fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace('=', "\\=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner() -> Environment {
        Environment {
            os: Some("linux".into()),
            arch: Some("x86_64".into()),
            cpu: Some("AMD EPYC 7763  64-Core Processor".into()),
            cores: Some(4),
            memory_mib: Some(16384),
            kernel: Some("6.8.0-1017-azure".into()),
            compiler: Some("rustc 1.90.0".into()),
            tags: BTreeMap::from([("runner".into(), "bench-1".into())]),
        }
    }

    #[test]
    fn the_key_reads_as_text() {
        assert_eq!(
            runner().canonical_text(),
            "os=linux; arch=x86_64; cpu=AMD EPYC 7763 64-Core Processor; cores=4; memory=16384 MiB; \
             kernel=6.8.0-1017-azure; compiler=rustc 1.90.0; tag runner=bench-1"
        );
        assert_eq!(runner().short_hash().len(), 16);
    }

    #[test]
    fn differences_name_the_parts() {
        let mut other = runner();
        other.cores = Some(2);
        other.kernel = None;
        other.tags.insert("turbo".into(), "off".into());
        let parts: Vec<_> = runner()
            .differing_parts(&other)
            .into_iter()
            .map(|d| d.to_string())
            .collect();
        assert_eq!(
            parts,
            [
                "cores: 4, here 2",
                "kernel: 6.8.0-1017-azure, here unknown",
                "tag turbo: unknown, here off"
            ]
        );
        assert!(runner().is_like(&runner()));
    }

    #[test]
    fn padded_processor_names_are_the_same_processor() {
        let mut other = runner();
        other.cpu = Some("AMD EPYC 7763 64-Core Processor ".into());
        assert!(runner().is_like(&other));
        assert_eq!(runner().short_hash(), other.short_hash());
    }

    #[test]
    fn a_tag_cannot_imitate_another_part() {
        let plain = Environment {
            tags: BTreeMap::from([("a".into(), "1; tag b=2".into())]),
            ..runner()
        };
        let two = Environment {
            tags: BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]),
            ..runner()
        };
        assert_ne!(plain.canonical_text(), two.canonical_text());
    }
}
