//! `benchgate bisect`: the first slow commit, each judged against the good one by an A/B comparison.

use std::collections::BTreeSet;

use cli_kit::{ExitStatus, Failure};
use globset::GlobSet;
use regress_core::detect::VerdictKind;
use regress_core::measurement::CommitSha;
use regress_report::benchmarks::Report;
use serde::Serialize;

use crate::app::App;
use crate::args::{BisectArgs, Format};
use crate::git::GitRepository;
use crate::interleaved::Sides;
use crate::outputs::compile_globs;
use crate::worktrees::{self, WorktreePlace};
use crate::{measure, show};

/// What was found, as JSON.
#[derive(Debug, Serialize)]
struct Culprit {
    commit: String,
    subject: String,
    benchmarks: Vec<String>,
    tried: usize,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq)]
enum Trial {
    Slow(Vec<String>),
    Fast,
    /// It does not build, or nothing could be judged.
    Unusable(String),
}

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &BisectArgs) -> Result<ExitStatus, Failure> {
    let repository = GitRepository::require_containing(&app.here)?;
    let good = repository.resolve_commit(&args.good)?;
    let bad = repository.resolve_commit(&args.bad)?;
    measure::benchmark_command(app)?;
    let commits = repository.commits_between(&good, &bad)?;
    if commits.is_empty() {
        return Err(Failure::new(format!(
            "there is no commit between {} and {}",
            args.good, args.bad
        ))
        .hint("--good has to be the older one, and an ancestor of --bad"));
    }
    let asked = compile_globs(&args.benchmark)?;
    // What keeps these two from being compared keeps everything from being found: it is not passed over.
    let report = measure_against(app, &repository, (&good, &bad), &args.benchmark)?;
    let all = args.benchmark.is_empty();
    let slow = match judge_trial(&report, |row| all || is_asked(&asked, row)) {
        Trial::Slow(slow) => slow,
        trial => {
            show::save_and_print_report(app, &report)?;
            let what = if all {
                args.bad.clone()
            } else {
                format!("{} in {}", args.benchmark.join(", "), args.bad)
            };
            return Err(match trial {
                Trial::Unusable(why) => Failure::new(format!(
                    "{what} cannot be compared with {}, so there is nothing to search for: {why}",
                    args.good
                ))
                .hint("compare two commits that both have the benchmark and pass it"),
                _ => Failure::new(format!(
                    "{what} is not slower than {}, so there is nothing to search for",
                    args.good
                ))
                .hint("raise --runs if the change is small, or lower --threshold"),
            });
        }
    };
    app.printer
        .print_note(format_args!("slower at {}: {}", args.bad, slow.join(", ")));
    search(app, &repository, &good, &commits, slow)
}

/// Halves the range until one commit is left. `commits` ends with one where `slow` is slower, and only that counts.
fn search(
    app: &App<'_>,
    repository: &GitRepository,
    good: &CommitSha,
    commits: &[CommitSha],
    mut slow: Vec<String>,
) -> Result<ExitStatus, Failure> {
    let asked: BTreeSet<String> = slow.iter().cloned().collect();
    let mut candidates: Vec<&CommitSha> = commits.iter().collect();
    let (mut tried, mut skipped) = (1, Vec::new());
    // The last candidate is known to be slow; all before the first are known to be fast.
    while candidates.len() > 1 {
        let middle = (candidates.len() - 1) / 2;
        let commit = candidates[middle];
        let subject = repository.commit_subject(commit);
        let trial = try_commit(app, repository, (good, commit), &asked)?;
        tried += 1;
        match trial {
            Trial::Slow(names) => {
                app.printer
                    .print_note(format_args!("{} slow  {subject}", commit.short_hash()));
                candidates.truncate(middle + 1);
                slow = names;
            }
            Trial::Fast => {
                app.printer
                    .print_note(format_args!("{} fast  {subject}", commit.short_hash()));
                candidates.drain(..=middle);
            }
            Trial::Unusable(why) => {
                app.printer
                    .print_warning(format_args!("{} is passed over: {why}", commit.short_hash()));
                skipped.push(commit.short_hash().to_owned());
                candidates.remove(middle);
            }
        }
    }
    let commit = candidates[0];
    let found = Culprit {
        commit: commit.as_str().to_owned(),
        subject: repository.commit_subject(commit),
        benchmarks: slow,
        tried,
    };
    if app.format == Format::Json {
        app.printer.print_json(&found)?;
    } else {
        app.printer.print_line(format_args!(
            "{} is the first slow commit: {}",
            found.commit, found.subject
        ))?;
        app.printer
            .print_line(format_args!("slower there: {}", found.benchmarks.join(", ")))?;
    }
    if !skipped.is_empty() {
        app.printer.print_warning(format_args!(
            "it may also be one of those passed over: {}",
            skipped.join(", ")
        ));
    }
    Ok(ExitStatus::Found)
}

/// Whether a commit is slower than the good one in one of the rows of `asked`. What cannot be built or measured is unusable.
fn try_commit(
    app: &App<'_>,
    repository: &GitRepository,
    commits: (&CommitSha, &CommitSha),
    asked: &BTreeSet<String>,
) -> Result<Trial, Failure> {
    match measure_against(app, repository, commits, &[]) {
        Ok(report) => Ok(judge_trial(&report, |row| asked.contains(row))),
        Err(failure) if failure.status() == ExitStatus::Interrupted => Err(failure),
        Err(failure) => Ok(Trial::Unusable(failure.to_string())),
    }
}

/// Compares a commit with the good one. The benchmarks of `asked` have to be there.
fn measure_against(
    app: &App<'_>,
    repository: &GitRepository,
    (good, commit): (&CommitSha, &CommitSha),
    asked: &[String],
) -> Result<Report, Failure> {
    let base = worktrees::prepare_worktree(app, repository, WorktreePlace::Base, good, good.short_hash())?;
    let head =
        worktrees::prepare_worktree(app, repository, WorktreePlace::Head, commit, commit.short_hash())?;
    let mut sides = Sides {
        base,
        head,
        base_label: good.short_hash(),
        head_label: commit.short_hash(),
        asked,
    };
    sides.measure_and_judge(app, false)
}

/// What a comparison says of the rows that count.
fn judge_trial(report: &Report, counts: impl Fn(&str) -> bool) -> Trial {
    let counted = || report.rows.iter().filter(|row| counts(&row.name));
    let slower = counted().filter(|row| row.verdict == VerdictKind::Regression);
    let slower: Vec<String> = slower.map(|row| row.name.clone()).collect();
    let is_judged =
        |kind: VerdictKind| !matches!(kind, VerdictKind::NotEnoughData | VerdictKind::EnvironmentChanged);
    if !slower.is_empty() {
        Trial::Slow(slower)
    } else if counted().any(|row| is_judged(row.verdict)) {
        Trial::Fast
    } else {
        Trial::Unusable(counted().next().map_or_else(
            || report.summary.clone(),
            |row| format!("{}: {}", row.name, row.reason),
        ))
    }
}

/// Whether a row is asked for: by its name, or by its benchmark's, which comes before the measure in brackets.
fn is_asked(asked: &GlobSet, row: &str) -> bool {
    let benchmark = row.strip_suffix(']').and_then(|name| name.rsplit_once(" ["));
    asked.is_match(row) || benchmark.is_some_and(|(benchmark, _)| asked.is_match(benchmark))
}
