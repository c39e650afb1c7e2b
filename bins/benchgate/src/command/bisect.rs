//! `benchgate bisect`: the first slow commit, each judged against the good one by an A/B comparison.

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
    let mut asked = compile_globs(&args.benchmark)?;
    let (trial, report) = try_commit(
        app,
        &repository,
        &good,
        &bad,
        args.benchmark
            .is_empty()
            .then_some(())
            .map_or(Some(&asked), |()| None),
    )?;
    let Trial::Slow(slow) = trial else {
        if let Some(report) = report {
            show::save_and_print_report(app, &report)?;
        }
        return Err(Failure::new(format!(
            "{} is not slower than {}, so there is nothing to search for",
            args.bad, args.good
        ))
        .hint("raise --runs if the change is small, or lower --threshold"));
    };
    app.printer
        .print_note(format_args!("slower at {}: {}", args.bad, slow.join(", ")));
    // From here on only these count; their names stand for themselves.
    let names: Vec<String> = slow.iter().map(|name| globset::escape(name)).collect();
    asked = compile_globs(&names)?;
    search(app, &repository, &good, &commits, &asked, slow)
}

/// Halves the range until one commit is left. `commits` ends with one that is slow.
fn search(
    app: &App<'_>,
    repository: &GitRepository,
    good: &CommitSha,
    commits: &[CommitSha],
    asked: &GlobSet,
    mut slow: Vec<String>,
) -> Result<ExitStatus, Failure> {
    let mut candidates: Vec<&CommitSha> = commits.iter().collect();
    let (mut tried, mut skipped) = (1, Vec::new());
    // The last candidate is known to be slow; all before the first are known to be fast.
    while candidates.len() > 1 {
        let middle = (candidates.len() - 1) / 2;
        let commit = candidates[middle];
        let subject = repository.commit_subject(commit);
        let (trial, _) = try_commit(app, repository, good, commit, Some(asked))?;
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

/// Compares a commit with the good one. Only benchmarks in `asked` count, if that is given.
fn try_commit(
    app: &App<'_>,
    repository: &GitRepository,
    good: &CommitSha,
    commit: &CommitSha,
    asked: Option<&GlobSet>,
) -> Result<(Trial, Option<Report>), Failure> {
    let measured = (|| {
        let base =
            worktrees::prepare_worktree(app, repository, WorktreePlace::Base, good, good.short_hash())?;
        let head =
            worktrees::prepare_worktree(app, repository, WorktreePlace::Head, commit, commit.short_hash())?;
        let mut sides = Sides {
            base,
            head,
            base_label: good.short_hash(),
            head_label: commit.short_hash(),
        };
        sides.measure_and_judge(app, false)
    })();
    let report = match measured {
        Ok(report) => report,
        Err(failure) if failure.status() == ExitStatus::Interrupted => return Err(failure),
        Err(failure) => return Ok((Trial::Unusable(failure.to_string()), None)),
    };
    let counts = |name: &str| asked.is_none_or(|asked| asked.is_match(name));
    let slower = report
        .rows
        .iter()
        .filter(|row| row.verdict == VerdictKind::Regression && counts(&row.name));
    let slower: Vec<String> = slower.map(|row| row.name.clone()).collect();
    let judged = report.rows.iter().any(|row| {
        counts(&row.name)
            && !matches!(
                row.verdict,
                VerdictKind::NotEnoughData | VerdictKind::EnvironmentChanged
            )
    });
    let trial = if !slower.is_empty() {
        Trial::Slow(slower)
    } else if judged {
        Trial::Fast
    } else {
        Trial::Unusable(report.summary.clone())
    };
    Ok((trial, Some(report)))
}
