//! What a program is made for, by its first bytes.

/// A program or a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProgramKind {
    /// `elf` or `pe`.
    pub format: &'static str,
    /// `x86-64`, `i386`, `aarch64` and so on, as `uname -m` and the tools of each format call it.
    pub architecture: &'static str,
}

impl ProgramKind {
    /// Bytes of a file that [`ProgramKind::from_head`] needs; the header of a Windows program may lie that far behind.
    pub const HEAD: u64 = 1024;

    /// What the program is that a file begins as; nothing when it is none.
    ///
    /// Source: System V Application Binary Interface (`e_machine`); Microsoft, PE Format (machine types).
    #[must_use]
    pub fn from_head(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\x7fELF") {
            return elf(head);
        }
        if head.starts_with(b"MZ") {
            return pe(head);
        }
        None
    }
}

fn elf(head: &[u8]) -> Option<ProgramKind> {
    let (is_64, is_little) = (*head.get(4)? == 2, *head.get(5)? == 1);
    let machine = [*head.get(18)?, *head.get(19)?];
    let machine = if is_little {
        u16::from_le_bytes(machine)
    } else {
        u16::from_be_bytes(machine)
    };
    let architecture = match (machine, is_64, is_little) {
        (62, true, _) => "x86-64",
        (62, false, _) => "x32",
        (3, ..) => "i386",
        (183, _, true) => "aarch64",
        (183, _, false) => "aarch64_be",
        (40, ..) => "arm",
        (243, true, _) => "riscv64",
        (243, false, _) => "riscv32",
        (21, _, true) => "ppc64le",
        (21, _, false) => "ppc64",
        (20, ..) => "ppc",
        (22, ..) => "s390x",
        (258, ..) => "loongarch64",
        (8, true, _) => "mips64",
        (8, false, _) => "mips",
        (247, ..) => "bpf",
        _ => "other",
    };
    Some(ProgramKind {
        format: "elf",
        architecture,
    })
}

fn pe(head: &[u8]) -> Option<ProgramKind> {
    let place = head.get(0x3c..0x40)?;
    let place = u32::from_le_bytes([place[0], place[1], place[2], place[3]]) as usize;
    let header = head.get(place..place.checked_add(6)?)?;
    if header[..4] != *b"PE\0\0" {
        return None;
    }
    let architecture = match u16::from_le_bytes([header[4], header[5]]) {
        // Assemblies of .NET that were compiled for other systems than Windows have the system's number laid over the machine's.
        0x8664 | 0xfd1d | 0xc020 | 0x2ba0 | 0x9ff7 | 0x9ff6 => "x86-64",
        0x014c => "i386",
        0xaa64 => "aarch64",
        0x01c4 | 0x01c0 => "arm",
        0x0ebc => "efi-bytecode",
        _ => "other",
    };
    Some(ProgramKind {
        format: "pe",
        architecture,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_known_and_rubbish_is_not() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let known = ProgramKind::from_head(&own[..64]).unwrap();
        let expected = std::env::consts::ARCH.replace('_', "-");
        assert_eq!((known.format, known.architecture), ("elf", expected.as_str()));
        for rubbish in [b"".as_slice(), b"\x7fELF", b"MZ", b"MZ\xff", b"#!/bin/sh"] {
            assert_eq!(ProgramKind::from_head(rubbish), None);
        }
    }
}
