//! The engines that snippex knows by itself, as entries like those that settings add.

use std::collections::BTreeMap;

use super::entry::{Configuration, Deviations, EngineEntry, MemoryStyle, Part, RunnerStyle, SignalStyle};

pub(super) fn preset_entries() -> BTreeMap<String, EngineEntry> {
    [
        ("native", native()),
        ("qemu-x86_64", qemu()),
        ("fex-emu", fex()),
        ("box64", box64()),
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
        programs_32: strings(&["qemu-i386", "qemu-i386-static"]),
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
        programs_32: strings(&["FEX", "FEXInterpreter", "FEXLoader"]),
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

/// box64: the settings of its USAGE.md that change what is computed, each as a configuration that takes away the deviations
/// which its default has.
fn box64() -> EngineEntry {
    let mut configurations = configurations(&[
        ("interpreter", "nothing is recompiled", &[("BOX64_DYNAREC", "0")]),
        (
            "dynarec",
            "everything is recompiled, as is the default",
            &[("BOX64_DYNAREC", "1")],
        ),
        (
            "safeflags0",
            "no flags across CALL and RET",
            &[("BOX64_DYNAREC_SAFEFLAGS", "0")],
        ),
        (
            "safeflags2",
            "flags across every CALL and RET",
            &[("BOX64_DYNAREC_SAFEFLAGS", "2")],
        ),
        ("fastnan0", "NaNs as on x86", &[("BOX64_DYNAREC_FASTNAN", "0")]),
        (
            "fastround0",
            "rounding as on x86",
            &[("BOX64_DYNAREC_FASTROUND", "0")],
        ),
        (
            "fastround2",
            "rounding to integers as on x86",
            &[("BOX64_DYNAREC_FASTROUND", "2")],
        ),
        (
            "x87double1",
            "x87 always in double precision",
            &[("BOX64_DYNAREC_X87DOUBLE", "1")],
        ),
        (
            "x87double2",
            "x87 by its precision control",
            &[("BOX64_DYNAREC_X87DOUBLE", "2")],
        ),
        (
            "div0",
            "division by zero raises SIGFPE",
            &[("BOX64_DYNAREC_DIV0", "1")],
        ),
        (
            "flushto0",
            "FTZ and exception flags of MXCSR",
            &[("BOX64_SSE_FLUSHTO0", "1")],
        ),
        ("bigblock0", "small blocks", &[("BOX64_DYNAREC_BIGBLOCK", "0")]),
        (
            "bigblock3",
            "blocks as large as can be",
            &[("BOX64_DYNAREC_BIGBLOCK", "3")],
        ),
        (
            "callret1",
            "CALL and RET as calls of the host",
            &[("BOX64_DYNAREC_CALLRET", "1")],
        ),
        (
            "nativeflags0",
            "without the host's flags",
            &[("BOX64_DYNAREC_NATIVEFLAGS", "0")],
        ),
        ("no-avx", "without AVX", &[("BOX64_AVX", "0")]),
        (
            "accurate",
            "all that its manual offers for accuracy",
            &[
                ("BOX64_DYNAREC_SAFEFLAGS", "2"),
                ("BOX64_DYNAREC_FASTNAN", "0"),
                ("BOX64_DYNAREC_FASTROUND", "0"),
                ("BOX64_DYNAREC_DIV0", "1"),
                ("BOX64_SSE_FLUSHTO0", "1"),
            ],
        ),
    ]);
    let conforms: &[(&str, &[&str])] = &[
        (
            "interpreter",
            &[
                "box64-no-div0",
                "box64-nan-sign",
                "box64-integer-indefinite",
                "box64-flags-at-calls",
            ],
        ),
        ("safeflags2", &["box64-flags-at-calls"]),
        ("fastnan0", &["box64-nan-sign"]),
        ("fastround0", &["box64-integer-indefinite"]),
        ("fastround2", &["box64-integer-indefinite"]),
        ("div0", &["box64-no-div0"]),
        (
            "accurate",
            &[
                "box64-no-div0",
                "box64-nan-sign",
                "box64-integer-indefinite",
                "box64-flags-at-calls",
            ],
        ),
    ];
    for (name, without) in conforms {
        if let Some(configuration) = configurations.get_mut(*name) {
            configuration.without = strings(without);
        }
    }
    EngineEntry {
        command: Some("{program} {arguments} {runner}".into()),
        programs: strings(&["box64"]),
        program_files: strings(&["/etc/box64.box64rc", "~/.box64rc"]),
        runner: Some(RunnerStyle::Libc),
        environment: variables(&[("BOX64_LOG", "0"), ("BOX64_NOBANNER", "1")]),
        memory: Some(MemoryStyle::Host),
        signals: Some(SignalStyle::RipOnly),
        deviations: Some(Deviations::Box64),
        leaves_out: vec![Part::X87],
        limits: strings(&[
            "no AVX-512",
            "x87 registers hold doubles, and FXRSTOR and FXSAVE take MMX registers for them: how they end is seen in memory, \
             general registers and flags only",
            "no SIGFPE of floating point, none of integers by default",
            "NaNs, roundings and flags as fast as its settings say: see its configurations",
        ]),
        hint: Some("install box64 (https://box86.org) on an ARM64 machine".into()),
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
        // Its launcher looks at the program, and starts another tool for i386.
        programs_32: strings(&["valgrind"]),
        // A launcher, in Debian a script that starts another one; the work is done by the tool.
        program_files: strings(&[
            "valgrind.bin",
            "../libexec/valgrind/none-amd64-linux",
            "../lib/valgrind/none-amd64-linux",
            "../lib/x86_64-linux-gnu/valgrind/none-amd64-linux",
        ]),
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
