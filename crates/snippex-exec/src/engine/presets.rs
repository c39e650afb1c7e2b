//! The engines that snippex knows by itself, as entries like those that settings add.

use std::collections::BTreeMap;

use super::entry::{Configuration, Deviations, EngineEntry, MemoryStyle, Part, SignalStyle};

pub(super) fn preset_entries() -> BTreeMap<String, EngineEntry> {
    [
        ("native", native()),
        ("qemu-x86_64", qemu()),
        ("fex-emu", fex()),
        ("valgrind", valgrind()),
    ]
    .into_iter()
    .map(|(name, entry)| (name.to_owned(), entry))
    .collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn variables(pairs: Variables<'_>) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

type Variables<'v> = &'v [(&'v str, &'v str)];

/// Name, purpose, variables.
fn configurations(list: &[(&str, &str, Variables<'_>)]) -> BTreeMap<String, Configuration> {
    list.iter()
        .map(|(name, note, pairs)| {
            let configuration = Configuration {
                note: Some((*note).to_owned()),
                environment: variables(pairs),
                ..Configuration::default()
            };
            ((*name).to_owned(), configuration)
        })
        .collect()
}

fn native() -> EngineEntry {
    EngineEntry {
        command: Some("{runner}".into()),
        memory: Some(MemoryStyle::Guest),
        signals: Some(SignalStyle::Precise),
        ..EngineEntry::default()
    }
}

fn qemu() -> EngineEntry {
    EngineEntry {
        // The default CPU model of qemu-user has no AVX.
        command: Some("{program} -cpu max {arguments} {runner}".into()),
        programs: strings(&["qemu-x86_64", "qemu-x86_64-static"]),
        memory: Some(MemoryStyle::Host),
        signals: Some(SignalStyle::Precise),
        deviations: Some(Deviations::Qemu),
        limits: strings(&[
            "no AVX-512",
            "no unmasked x87 or SSE exceptions",
            "no alignment checks",
        ]),
        hint: Some("install qemu-user".into()),
        configurations: configurations(&[(
            "one-instruction",
            "a translation block for each instruction",
            // The name changed in qemu 8.1.
            &[("QEMU_SINGLESTEP", "1"), ("QEMU_ONE_INSN_PER_TB", "1")],
        )]),
        ..EngineEntry::default()
    }
}

/// What FEX documents to do otherwise than hardware, and its configurations that change what it computes.
fn fex() -> EngineEntry {
    let mut configurations = configurations(&[
        (
            "maxinst1",
            "a block for each instruction",
            &[("FEX_MAXINST", "1")],
        ),
        (
            "maxinst500",
            "blocks of at most 500 instructions",
            &[("FEX_MAXINST", "500")],
        ),
        ("multiblock0", "one block at a time", &[("FEX_MULTIBLOCK", "0")]),
        (
            "multiblock1",
            "several blocks compiled together",
            &[("FEX_MULTIBLOCK", "1")],
        ),
        (
            "no-flagm",
            "without the host's flag manipulation",
            &[("FEX_HOSTFEATURES", "disableflagm")],
        ),
        (
            "no-afp",
            "without the host's alternate floating point",
            &[("FEX_HOSTFEATURES", "disableafp")],
        ),
        (
            "no-sve",
            "without the host's scalable vectors",
            &[("FEX_HOSTFEATURES", "disablesve")],
        ),
        (
            "plain-host",
            "without any of the three",
            &[("FEX_HOSTFEATURES", "disableflagm,disableafp,disablesve")],
        ),
        (
            "reduced-x87",
            "x87 in double precision",
            &[("FEX_X87REDUCEDPRECISION", "1")],
        ),
        (
            "smc-none",
            "code is never checked for changes",
            &[("FEX_SMCCHECKS", "none")],
        ),
        (
            "smc-full",
            "code is checked before every run",
            &[("FEX_SMCCHECKS", "full")],
        ),
    ]);
    if let Some(reduced) = configurations.get_mut("reduced-x87") {
        reduced.deviations = Some(Deviations::FexReducedPrecision);
    }
    EngineEntry {
        command: Some("{program} {runner}".into()),
        // The name changed in 2025-09; FEXLoader is older still.
        programs: strings(&["FEX", "FEXInterpreter", "FEXLoader"]),
        version: Some("FEXGetConfig --version".into()),
        server: Some("FEXServer -f -p 600".into()),
        isolated: Some(true),
        memory: Some(MemoryStyle::Host),
        signals: Some(SignalStyle::RipOnly),
        deviations: Some(Deviations::Fex),
        limits: strings(&[
            "no AVX-512",
            "no SIGFPE: division by zero gives 0",
            "misaligned SSE operands do not fault",
            "MXCSR exception flags are never set",
            "registers at a signal may be stale",
        ]),
        hint: Some("install FEX-Emu (https://fex-emu.com) on an ARM64 machine".into()),
        configurations,
        ..EngineEntry::default()
    }
}

fn valgrind() -> EngineEntry {
    EngineEntry {
        // Registers are kept for each instruction, and changed code is noticed wherever it lies.
        command: Some(
            "{program} --tool=none -q --vex-iropt-register-updates=allregs-at-each-insn --smc-check=all {arguments} {runner}"
                .into(),
        ),
        programs: strings(&["valgrind"]),
        memory: Some(MemoryStyle::Host),
        signals: Some(SignalStyle::Precise),
        deviations: Some(Deviations::Valgrind),
        leaves_out: vec![Part::X87],
        limits: strings(&[
            "no AVX-512",
            "x87 arithmetic in double precision, and FXSAVE cuts MMX registers as well: x87 is not compared",
            "MXCSR keeps the rounding mode only",
            "privileged and many rare instructions raise SIGILL",
        ]),
        hint: Some("install valgrind".into()),
        ..EngineEntry::default()
    }
}
