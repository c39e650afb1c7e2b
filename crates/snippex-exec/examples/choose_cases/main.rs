//! Makes `fixtures/cases` again: of the generated sweep, for each instruction the case that tells most, made plain.
//!
//!     cargo run --release -p snippex-exec --example choose_cases -- fixtures/cases
//!
//! The ends are what this CPU answers, without what the manuals leave undefined. For instructions that qemu-user gets
//! wrong there is one case more that shows it, and its name goes on the list of known failures. Instructions of which
//! AMD's and Intel's processors differ, or that only one of them has, are left out.
#![expect(clippy::print_stdout, reason = "a program that says what it wrote")]

mod choice;
mod plain;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use choice::{Both, Candidate, find_candidates};
use snippex_blocks::generate::{Form, GenerationRequest, Sequences, of_form};
use snippex_core::address_space::{CODE_DISTANCE, place_image};
use snippex_core::diff::{Divergence, Tolerance};
use snippex_core::seed::Style;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource};
use snippex_formats::snip::{Snip, SnipExpectation};

/// Decides blocks, states and memory.
const SEED: u64 = 1;
/// Blocks of a form that are looked at, and start states of each.
const BLOCKS: u32 = 6;
const STATES: usize = 24;
/// Forms of an instruction that are looked at.
const FORMS: usize = 3;

/// Head of the list of known failures.
const LIST: &str = "# Cases of the sweep that qemu-user 7.2 (Debian 12) gets wrong, with what differs; made by choose_cases.\n";

/// Extensions, and of how many of their instructions one is taken.
const EXTENSIONS: [(&str, usize); 27] = [
    ("general", 1),
    ("x87", 1),
    ("mmx", 3),
    ("sse", 2),
    ("sse2", 4),
    ("sse3", 2),
    ("ssse3", 3),
    ("sse4_1", 3),
    ("sse4_2", 2),
    ("aes", 2),
    ("pclmulqdq", 1),
    ("sha", 2),
    ("bmi1", 1),
    ("bmi2", 1),
    ("lzcnt", 1),
    ("popcnt", 1),
    ("movbe", 1),
    ("adx", 1),
    ("cmpxchg16b", 1),
    ("avx", 12),
    ("avx2", 8),
    ("fma", 12),
    ("f16c", 1),
    ("gfni", 1),
    ("avx512f", 24),
    ("avx512bw", 16),
    ("avx512dq", 12),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder: fixtures/cases")?;
    let folder = Path::new(&folder);
    let mut engines = Both {
        native: Box::new(RunnerEngine::start(EngineSpec::native())?),
        subject: Box::new(RunnerEngine::start(EngineSpec::from_preset("qemu-x86_64")?)?),
        tolerance: Tolerance::qemu_user(),
    };
    let sweep = folder.join("sweep");
    if sweep.exists() {
        std::fs::remove_dir_all(&sweep)?;
    }
    let mut failures = LIST.to_owned();
    let mut written = 0;
    for (extension, forms) in instructions() {
        let name = extension;
        std::fs::create_dir_all(sweep.join(name))?;
        for (mnemonic, forms) in forms {
            let groups = groups(&forms, engines.native.as_mut())?;
            let (mut agrees, mut differs) = (None::<Candidate>, None::<Candidate>);
            for group in &groups {
                for candidate in find_candidates(group, &mut engines)? {
                    let best = if candidate.divergence.is_some() {
                        &mut differs
                    } else {
                        &mut agrees
                    };
                    if best.as_ref().is_none_or(|best| best.score < candidate.score) {
                        *best = Some(candidate);
                    }
                }
            }
            let chosen = [(agrees, ""), (differs, "-qemu")];
            for (candidate, suffix) in chosen {
                let Some(candidate) = candidate else { continue };
                let candidate = plain::simplify_candidate(candidate, &mut engines)?;
                let file = format!("sweep/{name}/{mnemonic}{suffix}.snip");
                std::fs::write(
                    folder.join(&file),
                    snip(&mnemonic, &candidate, engines.native.as_ref()).render_text(),
                )?;
                if let Some(divergence) = &candidate.divergence {
                    writeln!(failures, "{file} # {}", words(divergence))?;
                }
                written += 1;
            }
        }
    }
    std::fs::write(folder.join("qemu-x86_64.sweep.known-failures"), &failures)?;
    println!(
        "{written} cases, {} of them wrong on qemu",
        failures.lines().count() - LIST.lines().count()
    );
    Ok(())
}

/// The instructions that are looked at, by extension and mnemonic, with some of their forms.
fn instructions() -> BTreeMap<&'static str, Vec<(String, Vec<Form>)>> {
    let mut all: BTreeMap<&str, BTreeMap<String, Vec<Form>>> = BTreeMap::new();
    for form in Form::all().filter(|form| form.skip_reason().is_none()) {
        let extension = form.extension();
        let mnemonic = form.mnemonic();
        let Some((known, _)) = EXTENSIONS.iter().find(|(known, _)| *known == extension) else {
            continue;
        };
        if choice::is_portable(form) {
            all.entry(known)
                .or_default()
                .entry(mnemonic)
                .or_default()
                .push(form);
        }
    }
    all.into_iter()
        .map(|(extension, mnemonics)| {
            let step = EXTENSIONS
                .iter()
                .find(|(known, _)| *known == extension)
                .map_or(1, |(_, step)| *step);
            let some = mnemonics.into_iter().step_by(step).map(|(mnemonic, forms)| {
                // From both ends: the first forms are the narrowest, the last the widest.
                let stride = forms.len().div_ceil(FORMS).max(1);
                (mnemonic, forms.into_iter().step_by(stride).collect())
            });
            (extension, some.collect())
        })
        .collect()
}

/// The cases of these forms, with their memory.
fn groups(
    forms: &[Form],
    native: &mut dyn Engine,
) -> Result<Vec<snippex_core::group::Group>, Box<dyn Error>> {
    let request = GenerationRequest {
        per_form: Some(BLOCKS),
        seed: SEED,
        sequences: Sequences::None,
        ..GenerationRequest::default()
    };
    let placement = place_image(&(0..CODE_DISTANCE), true)?;
    let source = MemorySource::new(None, placement, SEED);
    let mut maker = CaseMaker::new(source, placement, SEED, STATES).in_style(Style::Corners);
    let blocks: Vec<_> = forms
        .iter()
        .flat_map(|form| of_form(&request, *form))
        .map(Arc::new)
        .collect();
    Ok(maker.make_groups(&blocks, native)?)
}

fn snip(mnemonic: &str, candidate: &Candidate, native: &dyn Engine) -> Snip {
    let covered = native.identity().components;
    let what = match &candidate.divergence {
        Some(divergence) => format!("{mnemonic}: {} wrong on qemu-user 7.2", words(divergence)),
        None => mnemonic.to_owned(),
    };
    Snip {
        title: what,
        end: Some(SnipExpectation::from_observation(
            &candidate.case,
            candidate.end.clone(),
            covered,
        )),
        ..Snip::from_case(candidate.case.clone())
    }
}

/// What differs, in a few words.
fn words(divergence: &Divergence) -> String {
    let names: Vec<&str> = divergence
        .differences
        .iter()
        .map(|difference| difference.name.as_str())
        .collect();
    names[..names.len().min(4)].join(" ")
}
