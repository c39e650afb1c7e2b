//! The summary of a check for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cli_kit::style::{BAD, FAINT, GOOD, HEADING, UNSURE};
use cli_kit::{Table, units};

use super::CheckSummary;
use crate::engine::EngineView;
use crate::{bugs, cache, coverage, format_count, format_number, format_percent, render_headerless_table};

/// Bugs that are shown.
const BUGS: usize = 25;
/// Groups of divergences, and reasons, that are shown.
const SHOWN: usize = 10;

/// The summary, in at most so many columns.
#[must_use]
pub fn render_check_summary(summary: &CheckSummary, width: Option<u16>) -> String {
    let mut text = String::new();
    let mut part = |title: &str, body: String| {
        if !body.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            write!(text, "{gap}{HEADING}{title}{HEADING:#}\n{body}\n")
                .expect("writing to a string cannot fail");
        }
    };
    part("Engines", engines(&summary.engines, width));
    part("Runs", runs(summary));
    part("Divergences by kind", kinds(summary));
    part("Divergences by instruction", divergences(summary, width));
    part("Inconclusive", reasons(&summary.inconclusive_by_reason));
    part("Unsupported", reasons(&summary.unsupported_by_reason));
    part("Blocks not run", reasons(&summary.blocks_not_run));
    if let Some(coverage) = &summary.coverage {
        part("Instruction forms", coverage::render_coverage(coverage, width));
    }
    part("Bugs", bugs::render_bug_table(&summary.bugs, BUGS, width));
    text + "\n" + &verdict(summary)
}

fn engines(engines: &[EngineView], width: Option<u16>) -> String {
    let mut table = Table::new(Vec::<String>::new()).fit(width);
    for engine in engines {
        table.add_row([
            format!("{} {FAINT}({}){FAINT:#}", engine.name, engine.role),
            engine.version.clone(),
        ]);
    }
    format!(
        "{}\n {FAINT}{}{FAINT:#}",
        render_headerless_table(&table),
        compared(engines)
    )
}

/// Which parts of the state both engines have, and which are left out because one of them has not.
fn compared(engines: &[EngineView]) -> String {
    let common = |part: &&str| engines.iter().all(|engine| engine.features.contains(part));
    let all = || engines.iter().flat_map(|engine| engine.features.iter().copied());
    let mut parts: Vec<&str> = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    for part in all() {
        let list = if common(&part) { &mut parts } else { &mut missing };
        if !list.contains(&part) {
            list.push(part);
        }
    }
    let mut text = format!("compared: {}", parts.join(", "));
    if !missing.is_empty() {
        text += &format!("; not in both: {}", missing.join(", "));
    }
    text
}

fn runs(summary: &CheckSummary) -> String {
    let mut table = Table::new(Vec::<String>::new()).align_right(1).align_right(2);
    let mut row = |name: &str, runs: u64, what: String| {
        table.add_row([
            name.to_owned(),
            format_number(runs),
            format_percent(runs, summary.runs),
            format!("{FAINT}{what}{FAINT:#}"),
        ]);
    };
    row(
        "match",
        summary.matched,
        "every bit that the manuals define agrees".to_owned(),
    );
    let blocks = format_count(summary.diverging_blocks, "block");
    row(
        "diverged",
        summary.diverged,
        format!("in {blocks}, each repeated alone"),
    );
    row(
        "inconclusive",
        summary.inconclusive,
        "nothing can be said".to_owned(),
    );
    row("unsupported", summary.unsupported, "not run".to_owned());
    let done = summary.runs - summary.unsupported;
    let table = render_headerless_table(&table);
    let cached = summary.cache.as_ref().and_then(cache::use_text);
    let cached = cached.map_or_else(String::new, |text| format!("\n {text}"));
    format!(
        "{table}\n {} of {}, {} each\n in {} ({}); {} reached their terminator, {} ended in a signal{cached}",
        format_count(summary.runs, "run"),
        format_count(summary.blocks, "block"),
        format_count(u64::from(summary.states), "start state"),
        units::format_duration(Duration::from_secs_f64(summary.elapsed_s)),
        units::format_rate(summary.runs_per_second),
        format_percent(summary.completed, done),
        format_percent(summary.faulted, done),
    )
}

fn kinds(summary: &CheckSummary) -> String {
    let mut kinds: Vec<_> = summary.kinds.iter().collect();
    if kinds.is_empty() {
        return String::new();
    }
    kinds.sort_by_key(|(_, counts)| std::cmp::Reverse(**counts));
    let mut table = Table::new(["kind", "blocks", "runs"])
        .align_right(1)
        .align_right(2);
    for (kind, (blocks, runs)) in kinds {
        table.add_row([
            format!("{BAD}{kind}{BAD:#}"),
            format_number(*blocks),
            format_number(*runs),
        ]);
    }
    table.to_string()
}

fn divergences(summary: &CheckSummary, width: Option<u16>) -> String {
    let groups = &summary.divergences;
    if groups.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        "begins at",
        "kind",
        "blocks",
        "runs",
        "example",
        "there, in the subject",
    ])
    .align_right(2)
    .align_right(3)
    .align_right(4)
    .fit(width);
    for group in groups.iter().take(SHOWN) {
        let example = &group.example;
        table.add_row([
            group.instruction.clone().unwrap_or_default(),
            format!("{BAD}{}{BAD:#}", group.kind),
            format_number(group.blocks),
            format_number(group.runs),
            example.divergence.map_or_else(String::new, |id| id.to_string()),
            example.what.clone(),
        ]);
    }
    let mut text = table.to_string();
    if groups.len() > SHOWN {
        let more = format_number((groups.len() - SHOWN) as u64);
        text += &format!("\n {FAINT}... and {more} more; --format json has all{FAINT:#}");
    }
    text
}

/// The most frequent reasons.
fn reasons(reasons: &BTreeMap<String, u64>) -> String {
    let mut rows: Vec<(&String, u64)> = reasons.iter().map(|(reason, runs)| (reason, *runs)).collect();
    rows.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    let mut table = Table::new(Vec::<String>::new()).align_right(0);
    for (reason, runs) in rows.iter().take(SHOWN) {
        table.add_row([&format_number(*runs), *reason]);
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut text = render_headerless_table(&table);
    if rows.len() > SHOWN {
        let runs = format_number(rows[SHOWN..].iter().map(|(_, runs)| runs).sum());
        let more = format_count((rows.len() - SHOWN) as u64, "other reason");
        text += &format!("\n {FAINT}... {runs} for {more}; --format json has all{FAINT:#}");
    }
    text
}

/// How many of the diverging blocks may be no code; nothing where none may.
fn describe_swept(summary: &CheckSummary) -> String {
    let (swept, all) = (summary.diverging_swept_blocks, summary.diverging_blocks);
    let which = match (swept, all) {
        (0, _) => return String::new(),
        (1, 1) => "it".to_owned(),
        (swept, all) if swept == all => "all of them".to_owned(),
        _ => format!("{} of {}", format_number(swept), format_number(all)),
    };
    format!("{UNSURE}{which} may be data{UNSURE:#}: found by linear sweep, which --no-sweep leaves out\n")
}

fn verdict(summary: &CheckSummary) -> String {
    let bugs = &summary.bugs;
    let subject = summary
        .engines
        .last()
        .map_or("the engine", |engine| engine.name.as_str());
    let reference = summary
        .engines
        .first()
        .map_or("the reference", |engine| engine.name.as_str());
    let run = summary.run;
    let mut text = if !summary.complete {
        format!("{UNSURE}stopped early{UNSURE:#}: this is what run {run} found until then\n")
    } else if summary.runs == 0 {
        format!("{UNSURE}nothing was run{UNSURE:#} (run {run})\n")
    } else if summary.diverged == 0 {
        format!("{GOOD}no divergence{GOOD:#}: {subject} computes what {reference} computes (run {run})\n")
    } else {
        let blocks = format_count(summary.diverging_blocks, "block");
        let count = if bugs.is_empty() {
            String::new()
        } else {
            format!(": {}", bugs::render_bug_count(bugs))
        };
        let swept = describe_swept(summary);
        format!("{BAD}{subject} differs from {reference} in {blocks}{BAD:#}{count} (run {run})\n{swept}")
    };
    if let Some(bug) = bugs.iter().find(|bug| bug.known.is_none()) {
        text += &format!("{FAINT}one bug in full:{FAINT:#} snippex bugs show {}\n", bug.id);
    }
    if let Some(id) = summary
        .divergences
        .iter()
        .find_map(|group| group.example.divergence)
    {
        text += &format!("{FAINT}look at an example:{FAINT:#} snippex compare --divergence {id}\n");
    }
    text
}
