//! Compares the machine's own CPU with an emulator on every block of a file, and prints the differences by class:
//! `cargo run --release -p snippex-exec --example compare_engines -- /bin/bash qemu-x86_64`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::diff::Tolerance;
use snippex_exec::check::{CheckJob, CheckOptions, CheckReport, CheckSummary, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineSpec, RunnerEngine};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "/bin/true".into());
    let emulator = arguments.next().unwrap_or_else(|| "qemu-x86_64".into());
    let bytes = std::fs::read(&path)?;
    let image = Image::parse(&bytes)?;
    let blocks: Vec<_> = extract_blocks(&image)
        .iter()
        .filter(|block| block.unrunnable.is_none())
        .map(Arc::new)
        .collect();

    let start = |spec: EngineSpec| -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(RunnerEngine::start(spec)?))
    };
    let subject = if emulator == "native" {
        EngineSpec::native()
    } else {
        EngineSpec::from_preset(&emulator)?
    };
    let tolerance = if emulator == "qemu-x86_64" {
        Tolerance::qemu_user()
    } else {
        Tolerance::none()
    };
    let job = CheckJob {
        image: Some(&image),
        placement: place_image(&image.address_range(), image.position_independent())?,
        reference: &|| start(EngineSpec::native()),
        subject: &|| start(subject.clone()),
        style: snippex_core::seed::Style::Compiled,
        options: CheckOptions {
            threads: 2,
            tolerance,
            ..CheckOptions::default()
        },
    };

    let mut summary = CheckSummary::default();
    let mut classes: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let begin = std::time::Instant::now();
    let (sender, receiver) = sync_channel(64);
    std::thread::scope(|scope| -> Result<(), EngineError> {
        let checker = scope.spawn(|| {
            let sender = sender;
            check_blocks(&job, &blocks, &sender, &AtomicBool::new(false))
        });
        for report in receiver.into_iter().filter_map(CheckReport::into_block_report) {
            summary.add_report(&report);
            for finding in &report.findings {
                let class = &finding.divergence.class;
                let culprit = class.culprit.as_ref().map_or("?", |culprit| &culprit.form);
                let fields: Vec<_> = finding
                    .divergence
                    .differences
                    .iter()
                    .take(3)
                    .map(|d| format!("{} {:?} {:?}", d.name, d.expected, d.actual))
                    .collect();
                let example = format!(
                    "block {:#x} start {}: {}",
                    finding.case.block.address,
                    finding.start,
                    fields.join(", ")
                );
                let entry = classes
                    .entry(format!("{:?} {culprit}", class.kind))
                    .or_insert((0, example));
                entry.0 += finding.runs;
            }
        }
        checker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    println!("{path}: native against {emulator} in {:.1?}", begin.elapsed());
    println!("{summary:#?}");
    for (class, (runs, example)) in classes {
        println!("{runs:8} {class}\n         {example}");
    }
    Ok(())
}
