//! Benchmarks and measures as they are asked for, by name or glob: one that nothing goes by is an error and neither an empty
//! answer nor an option without effect.

use std::collections::BTreeSet;

use cli_kit::Failure;
use regress_core::measurement::ProcessRun;

use crate::app::App;
use crate::outputs::compile_globs;

/// Names that a hint lists at most.
const SHOWN: usize = 5;
/// How alike two names are, 0..=1, of which one may have been meant for the other.
const ALIKE: f64 = 0.6;

/// Refuses a pattern that none of these names fits. `place` is what has them, as the subject of a sentence.
pub(crate) fn refuse_unknown<'a>(
    patterns: &[String],
    names: impl Iterator<Item = &'a str>,
    place: &str,
) -> Result<(), Failure> {
    let names: BTreeSet<&str> = names.collect();
    for pattern in patterns {
        let set = compile_globs(std::slice::from_ref(pattern))?;
        if names.iter().any(|name| set.is_match(name)) {
            continue;
        }
        let failure = Failure::new(format!("{place} has no benchmark {pattern:?}"));
        let near = near(pattern, &names);
        return Err(match near.as_slice() {
            [] if names.is_empty() => failure.hint("it has none at all"),
            [] => failure.hint(format!("it has {}", listed(names.iter().copied(), names.len()))),
            near => failure.hint(format!(
                "near it are {}; part of a name needs *: \"*{}*\"",
                listed(near.iter().copied(), near.len()),
                plain(pattern)
            )),
        });
    }
    Ok(())
}

/// Refuses a pattern of `--rule` that none of these names fits: its benchmarks would be judged by another threshold than the
/// one asked for. Rules of benchgate.toml are for all benchmarks of a project, of which a run may be a part.
pub(crate) fn refuse_unknown_rules<'a>(
    app: &App<'_>,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    refuse_unknown(&app.typed_rules(), names, "--rule: what is judged here")
}

/// Refuses a measure of `--direction` that no result has: the one that was meant would go the other way.
pub(crate) fn refuse_unknown_directions<'a>(
    app: &App<'_>,
    processes: impl Iterator<Item = &'a ProcessRun>,
) -> Result<(), Failure> {
    let typed = app.typed_directions();
    if typed.is_empty() {
        return Ok(());
    }
    let mut measures: BTreeSet<&str> = BTreeSet::new();
    for process in processes {
        measures.extend(process.measurements.iter().map(|one| one.measure.as_str()));
        // What was left out may have had it.
        if process.problems.iter().any(|problem| !problem.kind.keeps_value()) {
            return Ok(());
        }
    }
    let Some(unknown) = typed.iter().find(|name| !measures.contains(name.as_str())) else {
        return Ok(());
    };
    let failure = Failure::new(format!("--direction: no result has the measure {unknown:?}"));
    let (word, shown) = match near(unknown, &measures) {
        near if near.is_empty() => ("they have", measures.iter().copied().collect()),
        near => ("near it are", near),
    };
    let count = shown.len();
    Err(failure.hint(format!("{word} {}", listed(shown.into_iter(), count))))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let shown: Vec<&str> = names.take(SHOWN).collect();
    match count.saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A pattern without its wildcards.
fn plain(pattern: &str) -> String {
    pattern.replace(['*', '?', '[', ']', '{', '}'], "")
}

/// The names that may have been meant: those that have the text in them, or else those that are spelled alike, as a whole or in
/// their last part; the nearest first.
fn near<'a>(pattern: &str, names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let wanted = plain(pattern).to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let holding: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| name.to_lowercase().contains(&wanted))
        .collect();
    if !holding.is_empty() {
        return holding;
    }
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let last = name.rsplit(['/', ':', '.']).next().unwrap_or(&name);
        let whole = strsim::normalized_damerau_levenshtein(&wanted, &name);
        whole.max(strsim::normalized_damerau_levenshtein(&wanted, last))
    };
    let mut alike: Vec<(f64, &str)> = names
        .iter()
        .map(|name| (likeness(name), *name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    alike.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(pattern: &str) -> Option<String> {
        let names = ["parse/json", "parse/toml", "sort", "walk"].into_iter();
        let refused = refuse_unknown(&[pattern.to_owned()], names, "the history").err();
        refused.map(|failure| format!("{failure:?}"))
    }

    #[test]
    fn what_nothing_goes_by_is_refused_with_what_is_near() {
        for known in ["sort", "parse/*", "*", "{walk,nosuch}"] {
            assert_eq!(hint(known), None, "{known}");
        }
        for (unknown, said) in [
            ("parse", "near it are parse/json, parse/toml"),
            ("srot", "near it are sort;"),
            ("jsno", "near it are parse/json;"),
            ("nosuch", "it has parse/json, parse/toml, sort, walk"),
        ] {
            let told = hint(unknown).unwrap();
            assert!(told.contains(said) && told.contains(unknown), "{told}");
        }
        let none = refuse_unknown(&["sort".to_owned()], std::iter::empty(), "the run");
        assert!(format!("{:?}", none.unwrap_err()).contains("none at all"));
        let many: Vec<String> = (0..9).map(|number| format!("b{number}")).collect();
        let told = refuse_unknown(&["x".to_owned()], many.iter().map(String::as_str), "the run");
        assert!(format!("{:?}", told.unwrap_err()).contains("b4 and 4 more"));
    }
}
