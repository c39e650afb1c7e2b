//! Measures the detectors on recorded benchmark results and prints the table as JSON.
//!
//! `cargo xtask evaluate --data DIR`. DIR is searched (four levels deep) for JSON files of two shapes, others are passed
//! over: series, `{"series": [{"points": [{"value": 1.0, "commit": "..."}]}]}`, and processes with their iterations,
//! `[{"benchmark": "...", "unit": "...", "forks": [[1.0, ...], ...]}]`. Each file is measured alone, and all together.
//!
//! How the settings were chosen: variants of the change-point detector were compared on artificial noise (normal, heavy
//! tails, spikes, several modes, sticky modes, autoregressive, drifting), with the figures for hyper's gh-pages series in
//! view; the penalty of 0.9 and the bandwidth of half the distance were picked with both on the table. So hyper is not a
//! held-out set for them, and its figures are likely a little flattering; series of other projects are. The gate and the
//! two-sample judgement were set by counting (see their modules) and artificial noise. The protocols stand at the head of [`change_points`], [`gate`] and [`two_sample`].

mod change_points;
mod data;
mod gate;
mod two_sample;

use std::process::ExitCode;

use serde_json::{Value, json};

use data::Source;

/// Every random choice follows from these.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, folder] = arguments.as_slice() else {
        return usage();
    };
    if flag != "--data" {
        return usage();
    }
    match data::find(folder.as_ref()) {
        Ok(sources) if sources.is_empty() => {
            eprintln!(
                "error: no series and no processes found under {folder}; see --help of cargo xtask evaluate"
            );
            ExitCode::from(2)
        }
        Ok(sources) => {
            let table = json!({ "seeds": SEEDS.collect::<Vec<u64>>(), "sources": measure(&sources) });
            println!("{table:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: failed to read {folder}: {error}");
            ExitCode::from(2)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo xtask evaluate --data DIR");
    ExitCode::from(2)
}

fn measure(sources: &[Source]) -> Vec<Value> {
    let mut all = Source {
        name: "all".to_owned(),
        ..Source::default()
    };
    for source in sources {
        all.families.extend(source.families.iter().cloned());
        all.processes.extend(source.processes.iter().cloned());
    }
    let together = (sources.len() > 1).then_some(&all);
    sources
        .iter()
        .chain(together)
        .map(|source| {
            eprintln!("measuring {}", source.name);
            json!({
                "source": source.name,
                "series": source.series().count(),
                "benchmarks_with_processes": source.processes.len(),
                "change_points": change_points::rows(source),
                "gate": gate::rows(source),
                "two_sample": two_sample::rows(source),
            })
        })
        .collect()
}
