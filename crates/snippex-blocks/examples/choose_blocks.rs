//! Chooses the blocks of a file that are likeliest to show an emulator's bugs, and says why:
//! `cargo run --release -p snippex-core --example choose_blocks -- FILE [COUNT] [SEED]`.

use std::process::ExitCode;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_blocks::select::{FilterOptions, SelectionRequest, Strategy, select_blocks};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: choose_blocks FILE [COUNT] [SEED]");
        return ExitCode::from(2);
    };
    let mut number = |default| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (count, seed) = (number(20), number(0));
    match choose(&path, count, seed) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("failed to read {path}: {error}");
            ExitCode::from(2)
        }
    }
}

fn choose(path: &str, count: u64, seed: u64) -> Result<String, Box<dyn std::error::Error>> {
    let data = std::fs::read(path)?;
    let image = Image::parse(&data)?;
    let index = extract_blocks(&image);
    let options = FilterOptions {
        skip_unrunnable: true,
        skip_sweep: true,
        ..FilterOptions::default()
    };
    let request = SelectionRequest {
        strategy: Strategy::Diverse,
        smart: true,
        count: Some(usize::try_from(count)?),
        seed,
    };
    let report = select_blocks(&index, &options.into_filter()?, &request).report;
    let mut text = format!("{} of {} blocks match\n", report.matching, report.blocks);
    for chosen in &report.chosen {
        text += &format!(
            "{:#x} complexity {}: {:?}\n",
            chosen.address, chosen.complexity, chosen.reasons
        );
    }
    for (category, (matching, chosen)) in &report.categories {
        text += &format!("{category:?}: {chosen} of {matching}\n");
    }
    for bucket in &report.complexity {
        text += &format!(
            "complexity from {}: {} of {}\n",
            bucket.from, bucket.chosen, bucket.matching
        );
    }
    Ok(text)
}
