//! Finds the blocks of a file: `cargo run --release -p snippex-core --example find_blocks -- FILE [--list]`.
//!
//! With `--features capstone` it also asks the second decoder about every instruction.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: find_blocks FILE [--list]");
        return ExitCode::from(2);
    };
    let data = match std::fs::read(&path) {
        Ok(data) => data,
        Err(error) => {
            eprintln!("failed to read {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let image = match Image::parse(&data) {
        Ok(image) => image,
        Err(error) => {
            eprintln!("failed to read {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let parsed = started.elapsed();
    let index = extract_blocks(&image);
    let elapsed = started.elapsed();

    if arguments.next().as_deref() == Some("--list") {
        for entry in index.entries() {
            println!(
                "{:#x} {:4} bytes {:3} instructions {:?} {:?} {:?}",
                entry.address,
                entry.length,
                entry.instruction_count,
                entry.terminator,
                entry.origin,
                entry.unrunnable
            );
        }
        return ExitCode::SUCCESS;
    }
    println!(
        "{} blocks in {elapsed:.2?} (headers and tables {parsed:.2?})",
        index.len()
    );
    println!("{:#?}", index.statistics());
    let mut origins = BTreeMap::new();
    let mut unrunnable = BTreeMap::new();
    for entry in index.entries() {
        *origins.entry(entry.origin).or_insert(0_u64) += 1;
        if let Some(reason) = entry.unrunnable {
            *unrunnable.entry(reason).or_insert(0_u64) += 1;
        }
    }
    println!("by origin: {origins:#?}");
    println!("not run: {unrunnable:#?}");
    #[cfg(feature = "capstone")]
    match snippex_blocks::extract::second_opinion(&index, 20) {
        Ok(opinion) => println!("second decoder: {opinion:#x?}"),
        Err(error) => {
            eprintln!("failed to set up the second decoder: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
