//! Writes reports on made-up findings to a folder, for tests in a browser and to be looked at:
//! `cargo run -p snippex-report --features pdf --example report_samples -- FOLDER`.

use std::path::PathBuf;

use snippex_report::report::{
    CheckFigures, EngineFigures, EngineRuns, MAX_SUMMARY_SIZE, MODEL_VERSION, NamedCount, PaperSize,
    ProgramFigures, ReportBug, ReportExample, ReportFinding, ReportModel, ReportTotals, render_html,
    render_markdown, render_pdf,
};
use snippex_report::storage::{StorageLayer, storage_diagram};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("say which folder to write to")?);
    std::fs::create_dir_all(&folder)?;
    for (name, bugs, findings) in [("empty", 0, 0), ("small", 4, 30), ("large", 60, 10_000)] {
        let report = sample(bugs, findings);
        std::fs::write(folder.join(format!("{name}.html")), render_html(&report)?)?;
        let pdf = render_pdf(&report, PaperSize::A4)?;
        println!("{name}: {} pages, {} bytes of PDF", pdf.pages, pdf.bytes.len());
        std::fs::write(folder.join(format!("{name}.pdf")), pdf.bytes)?;
        if bugs > 0 {
            let markdown = render_markdown(&report, MAX_SUMMARY_SIZE)?;
            std::fs::write(folder.join(format!("{name}.md")), markdown)?;
        }
    }
    std::fs::write(folder.join("image.md"), storage_diagram("a/disk.qcow2", &disk()))?;
    Ok(())
}

/// A disk of more partitions than a diagram has room for, with names as strangers may give them.
fn disk() -> StorageLayer {
    let part = |index: usize| StorageLayer {
        name: NAMES[index % NAMES.len()].to_owned(),
        format: "ext4".to_owned(),
        size: (index as u64) << 30,
        files: Some(index as u64 * 1000),
        inner: Vec::new(),
    };
    StorageLayer {
        format: "GPT".to_owned(),
        inner: (0..128).map(part).collect(),
        ..StorageLayer::default()
    }
}

const ENGINES: [(&str, &str); 3] = [
    ("qemu-x86_64", "qemu-x86_64 version 7.2.22"),
    ("fex-emu", "FEX-2508"),
    ("box64", "0.3.4"),
];
const KINDS: [&str; 5] = ["register", "flags", "vector", "x87", "spurious-fault"];
const EXTENSIONS: [&str; 6] = ["intel8086", "sse2", "avx", "avx512f+avx512vl", "fpu", "bmi2"];

/// Names as hostile as those of real binaries may be.
const NAMES: [&str; 4] = [
    "flags after a shift by 0 are not kept",
    "<script>alert(1)</script> & \"quotes\" @everyone `ticks` | pipes",
    "\u{4e2d}\u{6587} \u{202e}reversed",
    "a name that is much longer than any line of any terminal or page can be expected to hold without being broken \
     somewhere in the middle of it, and then goes on",
];

fn sample(bugs: usize, findings: usize) -> ReportModel {
    ReportModel {
        version: MODEL_VERSION,
        title: "What differs from the reference".to_owned(),
        made_by: "snippex 0.1.0".to_owned(),
        newest_check: "2026-11-28T10:00:00Z".to_owned(),
        totals: ReportTotals {
            checks: 8,
            blocks: 457_000,
            diverging_blocks: 1_234,
            runs: 29_248_000,
            diverged: 98_765,
            inconclusive: 4_321,
            unsupported: 77,
            new_bugs: bugs as u64,
            known_bugs: u64::from(bugs > 0),
        },
        engines: if bugs == 0 { Vec::new() } else { engines() },
        programs: (0..bugs * 3).map(program).collect(),
        kinds: counts(&KINDS[..if bugs == 0 { 0 } else { KINDS.len() }]),
        extensions: counts(&EXTENSIONS[..if bugs == 0 { 0 } else { EXTENSIONS.len() }]),
        inconclusive: counts(&["the reference hung"]),
        checks: if bugs == 0 { Vec::new() } else { checks() },
        bugs: (0..bugs).map(bug).collect(),
        findings: (0..findings).map(|index| finding(index, bugs)).collect(),
    }
}

fn engines() -> Vec<EngineFigures> {
    let figures = |(index, (name, version)): (usize, &(&str, &str))| EngineFigures {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        checks: 3,
        blocks: 150_000,
        diverging_blocks: 40 * (index as u64 + 1).pow(4),
        success: 1.0 - (40 * (index as u64 + 1).pow(4)) as f64 / 150_000.0,
        success_least: 0.97,
        success_most: 0.999,
        runs: 9_600_000,
        diverged: 12_000,
        runs_per_second: (index != 1).then_some(480_000.0),
    };
    ENGINES.iter().enumerate().map(figures).collect()
}

fn counts(names: &[&str]) -> Vec<NamedCount> {
    let count = |(index, name): (usize, &&str)| NamedCount {
        name: (*name).to_owned(),
        blocks: Some(100),
        runs: 90_000 / (index as u64 + 1).pow(3),
    };
    names.iter().enumerate().map(count).collect()
}

fn checks() -> Vec<CheckFigures> {
    let check = |index: u64| CheckFigures {
        run: 1 + index as i64,
        started: format!("2026-11-{:02}T10:00:00Z", 20 + index),
        engine: ENGINES[index as usize % 3].0.to_owned(),
        engine_version: ENGINES[index as usize % 3].1.to_owned(),
        reference: "native".to_owned(),
        complete: true,
        blocks: 57_249,
        diverging_blocks: 100 + index * 7 % 30,
        success: 1.0 - (100 + index * 7 % 30) as f64 / 57_249.0,
        runs: 3_663_936,
        seconds: 6.3 + (index * 5 % 7) as f64,
        seed: 1,
        states: 64,
    };
    (0..8).map(check).collect()
}

fn program(index: usize) -> ProgramFigures {
    let name = ["bash", "libcrypto.so.3", "<b>a & b</b> | c"][index % 3];
    ProgramFigures {
        name: name.to_owned(),
        places: vec![match index % 2 {
            0 => format!("/images/disk-{index}.qcow2//p1/usr/bin/{name}"),
            _ => format!("/usr/bin/{name}"),
        }],
        blocks: 2_000,
        diverging_blocks: 200 - index as u64,
        success: 0.9,
        runs: 128_000,
        diverged: 700,
    }
}

fn bug(index: usize) -> ReportBug {
    ReportBug {
        id: format!("bug-{index}.flags"),
        title: format!("{} ({index})", NAMES[index % NAMES.len()]),
        manual: (index % 3 != 2).then(|| "If the count is 0, the flags are not affected.".to_owned()),
        reference: (index % 3 != 2).then(|| "SDM vol. 2, SAL/SAR/SHL/SHR, Flags Affected".to_owned()),
        status: if index % 5 == 4 { "known" } else { "new" }.to_owned(),
        issue: (index % 5 == 4).then(|| "https://example.org/issues/1".to_owned()),
        certainty: ["confirmed", "flaky", "not reduced"][index % 3].to_owned(),
        runs: 5_000 / (index as u64 + 1),
        signatures: 12,
        forms: 7,
        first_seen: "2026-11-20T10:00:00Z".to_owned(),
        engines: vec![EngineRuns {
            name: ENGINES[index % 3].0.to_owned(),
            version: ENGINES[index % 3].1.to_owned(),
            configuration: vec!["-cpu".to_owned(), "max".to_owned()],
            runs: 100,
        }],
        example: (index % 4 != 3).then(|| ReportExample {
            code: vec!["shl eax, cl".to_owned()],
            bytes: "d3 e0".to_owned(),
            state: vec!["rcx = 0x20".to_owned(), "rflags = 0x246".to_owned()],
            differences: vec!["ZF is 0, not 1".to_owned()],
            case: "0123456789abcdef".to_owned(),
            snip: "snip 1\ncode d3 e0\nstart\nrcx 0x20\nend exit\n".to_owned(),
        }),
    }
}

fn finding(index: usize, bugs: usize) -> ReportFinding {
    // Not one like the other: what repeats would pack better than real findings do.
    let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ReportFinding {
        id: format!("{mixed:016x}"),
        bug: format!("bug-{}.flags", index % bugs.max(1)),
        kind: KINDS[index % KINDS.len()].to_owned(),
        instruction: format!("vfmadd{}ps xmm, xmm, [mem{}]", mixed % 997, 8 << (mixed % 6)),
        encoding: format!("VEX_Vfmadd{}_xmm_xmm_m{}", mixed % 499, mixed % 31),
        extension: EXTENSIONS[index % EXTENSIONS.len()].to_owned(),
        fields: vec![format!("xmm{}", mixed % 16), "mxcsr".to_owned()],
        status: if index % 5 == 4 { "known" } else { "new" }.to_owned(),
        certainty: "confirmed".to_owned(),
        runs: 10_000_u64.saturating_sub(index as u64),
        blocks: 3,
        engines: vec![format!("{} {}", ENGINES[index % 3].0, ENGINES[index % 3].1)],
        differences: vec![format!(
            "xmm{} is {mixed:#018x}, not {:#018x}; entry{index:05}",
            mixed % 16,
            mixed >> 3
        )],
        code: vec![format!(
            "vfmadd{}ps xmm1, xmm2, [rsi+{:#x}]",
            mixed % 997,
            mixed % 4096
        )],
    }
}
