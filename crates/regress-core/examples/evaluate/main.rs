//! Measures the detectors on recorded benchmark results and prints the table as JSON.
//!
//! `cargo xtask evaluate --data DIR` measures on recorded results, `cargo xtask evaluate --artificial` on artificial
//! noise. DIR is searched (four levels deep) for JSON files of two shapes, others are passed over: series, `{"series":
//! [{"points": [{"value": 1.0, "commit": "..."}]}]}`, and processes with their iterations, `[{"benchmark": "...", "unit":
//! "...", "forks": [[1.0, ...], ...]}]`. Each file is measured alone, and all together; [`artificial`] processes stand
//! after them under that name, since recorded ones are rare.
//!
//! How the settings were chosen: variants of the change-point detector were compared on artificial noise, with the figures
//! for hyper's gh-pages series in view; the penalty of 0.9 and the bandwidth of half the distance were picked with both on
//! the table. So hyper is not a held-out set for them, and its figures are likely a little flattering; series of other
//! projects are.
//!
//! Weighed later on [`artificial`] series (two seeds; penalty 0.9, some also 0.8 or 1.0) and not taken: the mean of
//! Gaussian kernels at a half, one, two and four distances, or at a half and two; one Gaussian at the whole distance;
//! Cauchy, inverse multiquadric, logarithmic, Laplace and energy distance; a bandwidth between the distance within levels
//! and that of all pairs; longer levels and excursions; a least change of 4 %; moving a point to where it parts the values
//! best. In real order, over the shapes, none gained at every size: wider kernels report more of the machine's shifts,
//! moving points loses small steps. More room for dependence changed nothing. To ask of every split that the bandwidth of
//! all pairs sees it too gained at +50 % (F1 .945 to .962), but then a step of 10 % beside one of
//! 50 % is found in 46 % of windows instead of 70 %. On hyper, tried once, it went from .732 to .758 at +50 % and from .362
//! to .330 at +5 %; at a quarter of the penalty to .746 and .345; Cauchy to .747 and from .706 to .682 at +20 %;
//! four scales to .770 and to .634 at +20 %. That is why the kernel by the book scores higher there at +50 %: it goes blind
//! to small changes next to large ones, which "two steps" counts.
//!
//! The gate and the two-sample judgement were set by counting (see their modules) and artificial noise. The protocols
//! stand at the head of [`change_points`], [`gate`], [`suite_gate`], [`two_sample`] and [`same_commit`].

mod artificial;
mod change_points;
mod data;
mod gate;
mod same_commit;
mod suite_gate;
mod two_sample;

use std::process::ExitCode;

use serde_json::{Value, json};

use artificial::Machine;
use data::Source;

/// Every random choice follows from these.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut rows = match arguments.as_slice() {
        ["--artificial"] => measure(&artificial::generate_series(), "all artificial series"),
        ["--data", folder] => match data::find_sources(folder.as_ref()) {
            Ok(sources) if sources.is_empty() => {
                eprintln!(
                    "error: no series and no processes found under {folder}; see --help of cargo xtask evaluate"
                );
                return ExitCode::from(2);
            }
            Ok(sources) => measure(&sources, "all"),
            Err(error) => {
                eprintln!("error: failed to read {folder}: {error}");
                return ExitCode::from(2);
            }
        },
        _ => {
            eprintln!("usage: cargo xtask evaluate --data DIR | --artificial");
            return ExitCode::from(2);
        }
    };
    rows.extend(measure(
        &artificial::generate_processes(Machine::Busy),
        "all artificial processes",
    ));
    rows.extend(measure(
        &artificial::generate_processes(Machine::Quiet),
        "all artificial quiet processes",
    ));
    eprintln!("measuring a commit against itself");
    let table = json!({
        "seeds": SEEDS.collect::<Vec<u64>>(),
        "sources": rows,
        "same_commit": same_commit::evaluate_same_commit(),
    });
    println!("{table:#}");
    ExitCode::SUCCESS
}

/// The figures of every source, and of all together under the name `all`.
fn measure(sources: &[Source], all: &str) -> Vec<Value> {
    let mut pooled = Source {
        name: all.to_owned(),
        ..Source::default()
    };
    for source in sources {
        pooled.families.extend(source.families.iter().cloned());
        pooled.processes.extend(source.processes.iter().cloned());
    }
    let together = (sources.len() > 1).then_some(&pooled);
    sources
        .iter()
        .chain(together)
        .map(|source| {
            eprintln!("measuring {}", source.name);
            json!({
                "source": source.name,
                "series": source.series().count(),
                "benchmarks_with_processes": source.processes.len(),
                "change_points": change_points::evaluate_change_points(source),
                "two_steps": change_points::two_steps(source),
                "doubling": change_points::evaluate_doubling(source),
                "gate": gate::evaluate_gate(source),
                "suite_gate": suite_gate::evaluate_suite_gate(source),
                "two_sample": two_sample::evaluate_two_sample(source),
                "sequential": two_sample::evaluate_sequential(source),
            })
        })
        .collect()
}
