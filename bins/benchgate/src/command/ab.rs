//! `benchgate ab`: two commits on this machine, their processes interleaved A B B A.

use std::time::{Duration, Instant};

use cli_kit::{ExitStatus, Failure, units};
use regress_core::detect::VerdictKind;
use regress_core::ingest;
use regress_core::measurement::CommitSha;
use regress_report::benchmarks::{Report, Row};

use crate::app::App;
use crate::args::AbArgs;
use crate::git::GitRepository;
use crate::judging::{Comparison, side_from_run};
use crate::measure::Subject;
use crate::worktrees::{self, WorktreePlace};
use crate::{history, measure, show};

/// Fewer pairs are not looked at: the first look must not be a lucky one.
const MIN_PAIRS: u32 = 5;

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &AbArgs) -> Result<ExitStatus, Failure> {
    let repository = GitRepository::require_containing(&app.here)?;
    let base = repository.resolve_commit(&args.base)?;
    let head = match &args.head {
        Some(name) => repository.resolve_commit(name)?,
        None => clean_head(app)?,
    };
    measure::benchmark_command(app)?;
    let head_label = args.head.as_deref().unwrap_or("HEAD");
    let mut base = worktrees::prepare_worktree(app, &repository, WorktreePlace::Base, &base, &args.base)?;
    let mut head = worktrees::prepare_worktree(app, &repository, WorktreePlace::Head, &head, head_label)?;
    warm_up(app, &base, &head)?;
    measure_interleaved(
        app,
        &mut base,
        &mut head,
        app.settings.budget.map(|budget| budget.0),
    )?;
    let report = judge_against_base(app, &base, &head, &args.base, head_label, true)?;
    show::save_and_print_report(app, &report)?;
    Ok(show::exit_status(&report, args.judge.exit_zero))
}

/// The current commit, if that is what is there.
fn clean_head(app: &App<'_>) -> Result<CommitSha, Failure> {
    match measure::current_commit(app)? {
        Some(commit) if commit.dirty => Err(Failure::new(
            "the work tree has changes that are in no commit, and `ab` measures commits",
        )
        .hint("commit or stash them, or give --head HEAD to measure the commit without them")),
        Some(commit) => Ok(commit.sha),
        None => Err(Failure::new("the repository has no commit")),
    }
}

/// Where it is not known how to build, the first process of a side does: its time would be the compiler's.
pub(crate) fn warm_up(app: &App<'_>, base: &Subject, head: &Subject) -> Result<(), Failure> {
    if worktrees::knows_build(app) {
        return Ok(());
    }
    app.printer.print_note(
        "no build command is known (--build), so one more process of each side runs first and is not counted",
    );
    let options = app.settings.ingest_options()?;
    base.warm_up(app, &options)?;
    head.warm_up(app, &options)?;
    Ok(())
}

/// Runs the pairs, every other one the other way round: what drifts over time hits both sides alike.
pub(crate) fn measure_interleaved(
    app: &App<'_>,
    base: &mut Subject,
    head: &mut Subject,
    budget: Option<Duration>,
) -> Result<(), Failure> {
    let options = app.settings.ingest_options()?;
    let started = Instant::now();
    let progress = app
        .printer
        .start_progress("measuring A and B", Some(2 * u64::from(app.settings.runs)));
    for pair in 0..app.settings.runs {
        let elapsed = one_pair(app, base, head, pair % 2 == 1, &options)?;
        progress.advance(2);
        progress.set_message(format_args!("{} a pair", units::format_duration(elapsed)));
        let Some(budget) = budget else { continue };
        if started.elapsed() + elapsed > budget {
            app.printer
                .print_note(format_args!("the budget is used up after {} pairs", pair + 1));
            break;
        }
        if pair + 1 >= MIN_PAIRS
            && judge_against_base(app, base, head, "", "", false)?
                .rows
                .iter()
                .all(is_decided)
        {
            app.printer.print_note(format_args!(
                "every benchmark is decided after {} pairs",
                pair + 1
            ));
            break;
        }
    }
    Ok(())
}

fn one_pair(
    app: &App<'_>,
    base: &mut Subject,
    head: &mut Subject,
    turned: bool,
    options: &ingest::IngestOptions,
) -> Result<Duration, Failure> {
    let (first, second) = if turned { (head, base) } else { (base, head) };
    Ok(first.measure_once(app, options)? + second.measure_once(app, options)?)
}

/// The rate of false discoveries at which a change ends the measuring early: looking after every pair finds chance many
/// times, so that each look has to be far surer than the last one (Haybittle and Peto's rule).
const EARLY_RATE: f64 = 0.005;
/// How sure it has to be that a change is within the threshold to measure no further.
const SURE_ENOUGH: f64 = 0.9;

/// Whether more pairs would not matter: it changed, or it is unlikely to have changed by the threshold.
fn is_decided(row: &Row) -> bool {
    match row.verdict {
        VerdictKind::EnvironmentChanged => true,
        VerdictKind::Regression | VerdictKind::Improvement => row.q.is_none_or(|q| q <= EARLY_RATE),
        VerdictKind::Unchanged => {
            let excluded = row.interval.is_none_or(|(_, high)| high < row.threshold);
            excluded || row.confidence.is_some_and(|confidence| confidence >= SURE_ENOUGH)
        }
        VerdictKind::Suspected | VerdictKind::NotEnoughData => false,
    }
}

/// Judges head against base. With `history` the report shows earlier runs, too.
pub(crate) fn judge_against_base(
    app: &App<'_>,
    base: &Subject,
    head: &Subject,
    base_label: &str,
    head_label: &str,
    history: bool,
) -> Result<Report, Failure> {
    let mut comparison = Comparison::with_head(
        "A/B comparison, interleaved on one machine",
        &head.run,
        head_label,
    );
    let (before, mixed) = base.run.collect_replicates();
    comparison.before = before;
    comparison.base = side_from_run(base_label, &base.run);
    comparison
        .problems
        .extend(base.run.problems().chain(&mixed).map(ToString::to_string));
    if history {
        let (lines, broken) = history::read_history(&app.settings.history)?;
        comparison.problems.extend(broken);
        comparison.pasts = history::of_environment(&lines, &head.run.environment, |_| false);
    }
    Ok(comparison.judge_benchmarks(app)?.report)
}
