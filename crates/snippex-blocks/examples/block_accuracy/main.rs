//! Measures how many block starts extraction finds, and how many of them are right.
//!
//! `cargo run --release -p snippex-core --example block_accuracy -- FILE_WITH_MAP STRIPPED_FILE [--list]`, where the
//! first is made by `clang-16 -O2 -shared -fPIC -fbasic-block-sections=labels` (newer: `-fbasic-block-address-map`)
//! and the second is the first after `strip`. `--list` prints every wrong and missed start.

mod truth;

use std::process::ExitCode;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [with_map, stripped, ..] = arguments.as_slice() else {
        return Err("usage: block_accuracy FILE_WITH_MAP STRIPPED_FILE [--list]".to_owned());
    };
    let read = |path: &String| std::fs::read(path).map_err(|error| format!("failed to read {path}: {error}"));
    let truth = truth::read_truth(&read(with_map)?)?;
    let data = read(stripped)?;
    let image = Image::parse(&data).map_err(|error| format!("failed to read {stripped}: {error}"))?;
    let index = extract_blocks(&image);
    println!(
        "{} functions and {} block starts in the map",
        truth.functions.len(),
        truth.starts.len()
    );
    for (name, with_sweep) in [("control flow", false), ("with sweep", true)] {
        let accuracy = truth::measure_accuracy(&truth, &index, with_sweep);
        println!(
            "{name}: precision {:.4} ({:.4} counting second branches as wrong), recall {:.4}; {} right, {} wrong, \
             {} missed; apart: {} after calls, {} second branches",
            accuracy.precision(),
            accuracy.precision_by_llvm_groups(),
            accuracy.recall(),
            accuracy.right,
            accuracy.wrong.len(),
            accuracy.missed.len(),
            accuracy.after_calls,
            accuracy.second_branches
        );
        if arguments.iter().any(|argument| argument == "--list") && with_sweep {
            for (address, origin) in &accuracy.wrong {
                println!("wrong {address:#x} {origin:?}");
            }
            for address in &accuracy.missed {
                println!("missed {address:#x}");
            }
        }
    }
    Ok(())
}
