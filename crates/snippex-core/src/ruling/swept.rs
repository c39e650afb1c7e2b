//! Rulings on what the generated sweep shows: narrow ones, each for a few instructions. They stand before those of
//! the other table.

use iced_x86::Mnemonic as M;

use super::{Evidence, Ruling, Side};
use crate::signature::BugKind;

/// Every ruling of this table.
pub(super) const RULES: &[Ruling] = &[
    Ruling {
        id: "adx-flags",
        title: "ADCX and ADOX spoil other flags",
        what: "ADCX changes no flag but CF, ADOX none but OF",
        reference: "SDM vol. 2, ADCX and ADOX, Flags Affected",
        decides: |e| (matches!(e.mnemonic(), M::Adcx | M::Adox) && only_flags(e)).then_some(Side::Reference),
    },
    Ruling {
        id: "blsi-carry",
        title: "BLSI inverts the carry",
        what: "CF is set if the source is not zero",
        reference: "SDM vol. 2, BLSI, Flags Affected",
        decides: |e| {
            (e.mnemonic() == M::Blsi && e.only(&["flags.CF"]) && e.in_state()).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "bit-scan-zero",
        title: "BSF and BSR of zero clear the upper half",
        what: "with a source of zero the destination stays what it was",
        reference: "APM vol. 3, BSF and BSR; SDM vol. 2, BSF and BSR, Description",
        decides: |e| (matches!(e.mnemonic(), M::Bsf | M::Bsr) && e.in_state()).then_some(Side::Reference),
    },
    Ruling {
        id: "operand-size-rex-w",
        title: "An operand-size prefix beats REX.W in MOVBE and CRC32",
        what: "with REX.W an operand-size prefix is ignored",
        reference: "SDM vol. 2, section 2.2.1.2",
        decides: |e| {
            let applies = matches!(e.mnemonic(), M::Movbe | M::Crc32 | M::Rdfsbase | M::Rdgsbase);
            (applies && prefixed(e, "66")).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "locked-fault-flags",
        title: "Flags are lost when an unaligned locked access faults",
        what: "a fault leaves the flags as they were",
        reference: "SDM vol. 3, section 6.5",
        decides: |e| {
            let locked = e.instruction.has_lock_prefix() || e.mnemonic() == M::Xchg;
            (locked && e.signal().is_some() && only_flags(e)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "flush-fault",
        title: "CLFLUSH does not touch memory",
        what: "flushing a line faults where a load of a byte would",
        reference: "SDM vol. 2, CLFLUSH, CLFLUSHOPT and CLWB, Description",
        decides: |e| {
            let flushes = matches!(e.mnemonic(), M::Clflush | M::Clflushopt | M::Clwb);
            (flushes && e.is(BugKind::MissingFault)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "string-lengths",
        title: "PCMPESTRI and PCMPESTRM ignore REX.W",
        what: "with REX.W the lengths are RAX and RDX",
        reference: "SDM vol. 2, PCMPESTRI and PCMPESTRM, Description",
        decides: |e| {
            let name = e.name();
            let applies = name.contains("pcmpestr") && name.ends_with("64");
            (applies && e.in_state()).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "cvtpi2pd-state",
        title: "CVTPI2PD from memory enters the MMX state",
        what: "with an operand in memory CVTPI2PD leaves the x87 state alone",
        reference: "SDM vol. 2, CVTPI2PD, Description",
        decides: |e| (e.mnemonic() == M::Cvtpi2pd && only_stack(e)).then_some(Side::Reference),
    },
    Ruling {
        id: "mmx-fault-state",
        title: "MMX instructions that fault have entered the MMX state",
        what: "a fault leaves TOP and the tags as they were",
        reference: "SDM vol. 3, section 6.5",
        decides: |e| (e.signal().is_some() && only_stack(e)).then_some(Side::Reference),
    },
    Ruling {
        id: "fma-over-read",
        title: "Scalar FMA loads sixteen bytes",
        what: "a scalar operation loads one element",
        reference: "SDM vol. 2, VFMADD132SD and relatives",
        decides: |e| {
            let name = e.name();
            let scalar = name.starts_with("vf") && (name.ends_with("sd") || name.ends_with("ss"));
            (scalar && over_reads(e)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "cvtdq2pd-over-read",
        title: "CVTDQ2PD loads sixteen bytes",
        what: "CVTDQ2PD loads eight bytes",
        reference: "SDM vol. 2, CVTDQ2PD",
        decides: |e| (e.mnemonic() == M::Cvtdq2pd && over_reads(e)).then_some(Side::Reference),
    },
    Ruling {
        id: "gather-wrap",
        title: "Gathers do not wrap addresses at 32 bits",
        what: "an effective address is truncated to the address size",
        reference: "SDM vol. 1, section 3.3.7",
        decides: |e| (e.name().contains("gather") && prefixed(e, "a32")).then_some(Side::Reference),
    },
    Ruling {
        id: "half-daz",
        title: "VCVTPH2PS heeds DAZ",
        what: "denormal halves are converted whatever DAZ is",
        reference: "SDM vol. 2, VCVTPH2PS, Description",
        decides: |e| {
            (e.mnemonic() == M::Vcvtph2ps && e.only(&["op0"]) && e.in_state()).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "aes-halves",
        title: "VAESDEC and VAESENC mix the halves of YMM",
        what: "each half is a block of its own",
        reference: "SDM vol. 2, AESDEC and AESENC, Operation",
        decides: |e| {
            (matches!(e.mnemonic(), M::Vaesdec | M::Vaesenc) && e.in_state()).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "round-abort",
        title: "VROUNDSS and VROUNDSD with VEX.L make qemu abort",
        what: "no instruction of a program ends the emulator",
        reference: "SDM vol. 2, ROUNDSS and ROUNDSD (VEX.LIG)",
        decides: |e| {
            let rounds = matches!(e.mnemonic(), M::Vroundss | M::Vroundsd);
            (rounds && e.is(BugKind::EngineDied)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "store-environment-masks",
        title: "FNSTENV does not mask exceptions",
        what: "storing the environment masks all exceptions",
        reference: "SDM vol. 2, FSTENV/FNSTENV, Description",
        decides: |e| {
            (e.mnemonic() == M::Fnstenv && e.only(&["fcw"]) && e.in_state()).then_some(Side::Reference)
        },
    },
];

fn only_flags(e: &Evidence<'_>) -> bool {
    e.in_state() && e.signature.fields.iter().all(|field| field.starts_with("flags."))
}

/// Only TOP and the tags.
fn only_stack(e: &Evidence<'_>) -> bool {
    e.in_state() && e.only(&["fsw.TOP", "ftw"])
}

fn over_reads(e: &Evidence<'_>) -> bool {
    e.is(BugKind::SpuriousFault) || e.is(BugKind::DifferentFault)
}

/// Whether the instruction has a prefix that is no part of its encoding, by the name it has in signatures.
fn prefixed(e: &Evidence<'_>, prefix: &str) -> bool {
    let prefixes = e
        .signature
        .form
        .encoding
        .split_once('+')
        .map(|(_, prefixes)| prefixes);
    prefixes.is_some_and(|prefixes| prefixes.split('+').any(|found| found == prefix))
}
