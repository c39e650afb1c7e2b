//! Two commits measured in turn, A B B A, and judged; what looks slower is measured again before it is said.
//!
//! A few pairs on a noisy machine look slower now and then although nothing changed, and a build that fails for nothing
//! teaches people to ignore it. So a suspicion is confirmed as a careful person would: by as many pairs again, and by the
//! rule of [`SecondRound`]. Half of a budget is for finding, the other half for confirming.

use std::time::{Duration, Instant};

use cli_kit::{Failure, units};
use regress_core::detect::{SecondRound, VerdictKind};
use regress_core::ingest::IngestOptions;
use regress_core::measurement::RunFile;
use regress_report::benchmarks::{Report, Row};

use crate::app::App;
use crate::benchmark_names::{refuse_unknown, refuse_unknown_rules};
use crate::judging::{Comparison, Judged, conclude_report, side_from_run};
use crate::measure::Subject;
use crate::show::format_counted_noun;
use crate::{history, worktrees};

/// Fewer pairs are not looked at: the first look must not be a lucky one.
const MIN_PAIRS: u32 = 5;
/// The rate of false discoveries at which a change ends the measuring early: looking after every pair finds chance many
/// times, so that each look has to be far surer than the last one (Haybittle and Peto's rule).
const EARLY_RATE: f64 = 0.005;
/// How sure it has to be that a change is within the threshold to measure no further.
const SURE_ENOUGH: f64 = 0.9;

/// The two commits that are compared.
#[derive(Debug)]
pub(crate) struct Sides<'a> {
    pub(crate) base: Subject,
    pub(crate) head: Subject,
    pub(crate) base_label: &'a str,
    pub(crate) head_label: &'a str,
    /// Benchmarks that are asked for, as globs: each has to be there.
    pub(crate) asked: &'a [String],
}

impl Sides<'_> {
    /// Measures both sides and judges head against base. With `with_history` the report shows earlier runs, too.
    pub(crate) fn measure_and_judge(&mut self, app: &App<'_>, with_history: bool) -> Result<Report, Failure> {
        self.warm_up(app)?;
        let begun = Instant::now();
        let budget = app.settings.budget.map(|budget| budget.0);
        let pairs = self.measure(app, begun, budget.map(|budget| budget / 2))?;
        let first = self
            .judge(app, (&self.base.run, &self.head.run), with_history)?
            .report;
        let suspects = first.rows.iter().filter(|row| is_suspect(row)).count();
        if suspects == 0 {
            return Ok(first);
        }
        let (look, more) = (
            if suspects == 1 {
                "benchmark looks"
            } else {
                "benchmarks look"
            },
            format_counted_noun(pairs as usize, "pair", "pairs"),
        );
        app.printer.print_note(format_args!(
            "{suspects} {look} slower; {more} more confirm it or do not"
        ));
        let before = self.base.run.processes.len();
        self.measure_pairs(app, pairs, begun, budget, |_, _| Ok(false))?;
        let again = [&self.base.run, &self.head.run].map(|run| since(run, before));
        let again = self.judge(app, (&again[0], &again[1]), false)?.report;
        let Judged {
            report: mut all,
            failed,
            ..
        } = self.judge(app, (&self.base.run, &self.head.run), with_history)?;
        for row in &mut all.rows {
            confirm(row, &first, &again, self.base.run.processes.len() - before);
        }
        conclude_report(&mut all, &failed);
        Ok(all)
    }

    /// Where it is not known how to build, the first process of a side does: its time would be the compiler's.
    fn warm_up(&self, app: &App<'_>) -> Result<(), Failure> {
        if worktrees::knows_build(app) {
            return Ok(());
        }
        app.printer.print_note(
            "no build command is known (--build), so one more process of each side runs first and is not counted",
        );
        let options = app.settings.ingest_options()?;
        self.base.warm_up(app, &options)?;
        self.head.warm_up(app, &options)?;
        Ok(())
    }

    /// The first pairs; with a budget only as many as decide every benchmark. Gives their number.
    fn measure(&mut self, app: &App<'_>, begun: Instant, until: Option<Duration>) -> Result<u32, Failure> {
        let runs = app.settings.runs;
        self.measure_pairs(app, runs, begun, until, |sides, pairs| {
            if until.is_none() || pairs < MIN_PAIRS {
                return Ok(false);
            }
            let judged = sides.judge(app, (&sides.base.run, &sides.head.run), false)?;
            let decided = judged.report.rows.iter().all(is_decided);
            if decided {
                app.printer
                    .print_note(format_args!("every benchmark is decided after {pairs} pairs"));
            }
            Ok(decided)
        })
    }

    /// Runs pairs, every other one the other way round: what drifts over time hits both sides alike. Ends before `until`, but
    /// not before the first pair, and where `enough` says so.
    fn measure_pairs(
        &mut self,
        app: &App<'_>,
        most: u32,
        begun: Instant,
        until: Option<Duration>,
        enough: impl Fn(&Self, u32) -> Result<bool, Failure>,
    ) -> Result<u32, Failure> {
        let options = app.settings.ingest_options()?;
        let progress = app
            .printer
            .start_progress("measuring A and B", Some(2 * u64::from(most)));
        for pair in 1..=most {
            let elapsed = self.measure_pair(app, pair % 2 == 0, &options)?;
            if pair == 1 {
                self.refuse_unknown_names(app)?;
            }
            progress.advance(2);
            progress.set_message(format_args!("{} a pair", units::format_duration(elapsed)));
            let spent = until.is_some_and(|until| begun.elapsed() + elapsed > until);
            if spent && pair < most {
                app.printer
                    .print_note(format_args!("the budget is used up after {pair} pairs"));
            }
            if spent || enough(self, pair)? {
                return Ok(pair);
            }
        }
        Ok(most)
    }

    /// Refuses what is asked for and not there before the rest is measured for it.
    fn refuse_unknown_names(&self, app: &App<'_>) -> Result<(), Failure> {
        let processes = || self.base.run.processes.iter().chain(&self.head.run.processes);
        let names =
            || processes().flat_map(|process| process.measurements.iter().map(|one| one.benchmark.as_str()));
        // One that failed is reported as failed.
        let failed =
            || processes().flat_map(|process| process.problems.iter().filter_map(|one| one.entry.as_deref()));
        refuse_unknown(self.asked, names().chain(failed()), "what was measured")?;
        refuse_unknown_rules(app, names().chain(failed()))
    }

    fn measure_pair(
        &mut self,
        app: &App<'_>,
        turned: bool,
        options: &IngestOptions,
    ) -> Result<Duration, Failure> {
        let (first, second) = if turned {
            (&mut self.head, &mut self.base)
        } else {
            (&mut self.base, &mut self.head)
        };
        Ok(first.measure_once(app, options)? + second.measure_once(app, options)?)
    }

    fn judge(
        &self,
        app: &App<'_>,
        (base, head): (&RunFile, &RunFile),
        with_history: bool,
    ) -> Result<Judged, Failure> {
        let title = "A/B comparison, interleaved on one machine";
        let mut comparison = Comparison::with_head(title, head, self.head_label);
        let (before, mixed) = base.collect_replicates();
        comparison.before = before;
        comparison.base = side_from_run(self.base_label, base);
        comparison
            .problems
            .extend(base.problems().chain(&mixed).map(ToString::to_string));
        if with_history {
            let (lines, broken) = history::read_history(&app.settings.history)?;
            comparison.problems.extend(broken);
            comparison.pasts = history::of_environment(&lines, &head.environment, |_| false);
        }
        comparison.judge_benchmarks(app)
    }
}

/// The processes of a run from this one on.
fn since(run: &RunFile, first: usize) -> RunFile {
    let mut run = run.clone();
    run.processes.drain(..first);
    run
}

/// A regression that chance can make. What is counted, or beyond a limit, needs no second look.
fn is_suspect(row: &Row) -> bool {
    row.verdict == VerdictKind::Regression && row.q.is_some()
}

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

/// What is said of a benchmark after the second round of `pairs`, whose row of all pairs this is.
fn confirm(row: &mut Row, first: &Report, again: &Report, pairs: usize) {
    let of = |report: &Report| report.rows.iter().find(|one| one.name == row.name).cloned();
    let found = is_suspect(row);
    let (Some(first), Some(again)) = (of(first), of(again)) else {
        if found {
            row.verdict = VerdictKind::Suspected;
            row.reason = format!("{}; one of the rounds does not have it", row.reason);
        }
        return;
    };
    if !found && !is_suspect(&first) {
        return;
    }
    let round = SecondRound {
        first: first.verdict,
        percent_again: again.percent,
        all: row.verdict,
        threshold: row.threshold,
    };
    let more = format_counted_noun(pairs, "more pair", "more pairs");
    if round.is_confirmed() {
        row.reason = format!("{}; {more} confirmed it", row.reason);
        return;
    }
    let missing = if is_suspect(&first) {
        format!("it looked slower, and {more} did not confirm it")
    } else {
        "the first pairs did not show it".to_owned()
    };
    row.reason = format!("{}; {missing}", row.reason);
    if found {
        row.verdict = VerdictKind::Unchanged;
        row.noisy = true;
    }
}
