//! How values and verdicts are written, the same in every format.

use regress_core::detect::VerdictKind;

use super::{Outcome, Report, Row};

/// The place of a verdict in a report, the most severe first. What is not judged stands above what did not change:
/// it asks for something to be done.
pub(crate) fn severity_rank(verdict: VerdictKind) -> u8 {
    match verdict {
        VerdictKind::Regression => 0,
        VerdictKind::Suspected => 1,
        VerdictKind::EnvironmentChanged => 2,
        VerdictKind::NotEnoughData => 3,
        VerdictKind::Improvement => 4,
        VerdictKind::Unchanged => 5,
    }
}

/// Whether the row belongs into the short form of a report.
pub(super) fn is_loud(row: &Row) -> bool {
    row.verdict != VerdictKind::Unchanged || row.noisy
}

/// What headings say of an outcome.
pub(crate) fn outcome_heading(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "no change",
        Outcome::NotJudged => "could not judge",
        Outcome::Regression | Outcome::Mixed | Outcome::Improvement | Outcome::Suspected => outcome.as_str(),
    }
}

impl Row {
    /// The verdict in a word or two; what is too noisy is not called unchanged.
    pub(super) fn verdict_text(&self) -> &'static str {
        match self.verdict {
            VerdictKind::Unchanged if self.noisy => "too noisy",
            verdict => verdict.as_str(),
        }
    }

    /// `+8.1 %`, or a dash where there is no percentage.
    pub(super) fn change_text(&self) -> String {
        self.percent.map_or_else(|| "–".to_owned(), format_percent)
    }

    /// `[+6.2, +9.9] %`, or nothing.
    pub(super) fn range_text(&self) -> String {
        self.interval.map_or_else(String::new, |(low, high)| {
            format!("[{}, {}] %", signed(low), signed(high))
        })
    }

    /// The median before, for people.
    pub(super) fn before_text(&self) -> String {
        self.before
            .map_or_else(|| "–".to_owned(), |value| self.unit.format_value(value))
    }

    /// The median now, for people.
    pub(super) fn after_text(&self) -> String {
        self.after
            .map_or_else(|| "–".to_owned(), |value| self.unit.format_value(value))
    }

    /// Whether there is enough history to show it instead of the values that were compared.
    pub(super) fn shows_history(&self) -> bool {
        self.history.len() >= 4 || (self.before_values.is_empty() && self.after_values.is_empty())
    }

    /// What the sparkline and the chart show: the history and, as its end, this run; else the two samples.
    pub(super) fn trend_values(&self) -> Vec<f64> {
        if self.shows_history() {
            self.history.iter().copied().chain(self.after).collect()
        } else {
            self.before_values
                .iter()
                .chain(&self.after_values)
                .copied()
                .collect()
        }
    }
}

impl Report {
    /// `2 regression, 1 improvement, 40 unchanged`, leaving out what there is none of.
    #[must_use]
    pub fn counts_text(&self) -> String {
        let all = [
            VerdictKind::Regression,
            VerdictKind::Suspected,
            VerdictKind::Improvement,
            VerdictKind::Unchanged,
            VerdictKind::NotEnoughData,
            VerdictKind::EnvironmentChanged,
        ];
        let counts = all.map(|verdict| (self.count_verdicts(verdict), verdict));
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let mut counts: Vec<_> = counts
            .map(|(count, verdict)| format!("{count} {verdict}"))
            .collect();
        let noisy = self.count_noisy();
        counts.extend((noisy > 0).then(|| format!("{noisy} of these too noisy to tell")));
        if counts.is_empty() {
            "no benchmarks".to_owned()
        } else {
            counts.join(", ")
        }
    }

    /// How many benchmarks vary so much that a change of their threshold's size could not be told from none.
    #[must_use]
    pub fn count_noisy(&self) -> usize {
        self.rows.iter().filter(|row| row.noisy).count()
    }

    /// `main (a1b2c3d4e5), 8 runs against HEAD (…), 8 runs`.
    pub(super) fn sides_text(&self) -> String {
        let side = |side: &super::Side| {
            let commit = side.commit.as_deref().map(short_commit);
            let commit = commit.filter(|commit| *commit != short_commit(&side.label));
            let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
            let plural = if side.runs == 1 { "run" } else { "runs" };
            format!("{}{commit}, {} {plural}", side.label, side.runs)
        };
        format!("{} against {}", side(&self.head), side(&self.base))
    }
}

/// A commit as people write it: ten digits of a hash, anything else as it is.
#[must_use]
pub fn short_commit(commit: &str) -> &str {
    let hexadecimal = commit.len() >= 10 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { &commit[..10] } else { commit }
}

/// `+8.1 %`.
pub(crate) fn format_percent(value: f64) -> String {
    format!("{} %", signed(value))
}

fn signed(value: f64) -> String {
    match value {
        value if !value.is_finite() => "?".to_owned(),
        value if value.abs() >= 99.95 => format!("{value:+.0}"),
        value if value.abs() < 0.05 => "0.0".to_owned(),
        value => format!("{value:+.1}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{REPORT_VERSION, Shift, Side};
    use super::*;
    use regress_core::measurement::{Direction, Unit};

    fn row(name: &str, verdict: VerdictKind, before: f64, after: f64) -> Row {
        let percent = 100.0 * (after / before - 1.0);
        Row {
            name: name.to_owned(),
            unit: Unit::Nanoseconds,
            direction: Direction::SmallerIsBetter,
            verdict,
            reason: "the interval ends below the threshold".to_owned(),
            before: Some(before),
            after: Some(after),
            percent: Some(percent),
            interval: Some((percent - 2.0, percent + 2.0)),
            p: Some(0.008),
            q: Some(0.02),
            effect: Some(0.9),
            confidence: Some(0.97),
            noisy: false,
            threshold: 5.0,
            before_values: vec![before * 0.99, before, before * 1.02],
            after_values: vec![after * 0.99, after, after * 1.01],
            history: Vec::new(),
            commits: Vec::new(),
            shifts: Vec::new(),
            band: Some((before * 0.99, before * 1.02)),
        }
    }

    pub(crate) fn example_report() -> Report {
        let mut slow = row("parse/large", VerdictKind::Regression, 1_500_000.0, 1_622_000.0);
        slow.reason = "slower by 8.1 %, at least 6.1 %, which is above 5 %".to_owned();
        slow.history = (0..40)
            .map(|i| if i < 25 { 1.4e6 } else { 1.5e6 } + f64::from(i * 7 % 5) * 9e3)
            .collect();
        slow.commits = (0..40).map(|i| format!("{:040x}", i * 7919)).collect();
        slow.shifts = vec![Shift {
            index: 25,
            before: 1.42e6,
            after: 1.52e6,
        }];
        let mut rate = row("hash [throughput]", VerdictKind::NotEnoughData, 3.1e9, 3.1e9);
        rate.unit = Unit::BytesPerSecond;
        rate.direction = Direction::BiggerIsBetter;
        rate.interval = None;
        rate.reason = "2 process runs, 4 are needed".to_owned();
        let mut new = row("sort/new", VerdictKind::NotEnoughData, 1.0, 52_000.0);
        (new.before, new.percent, new.interval, new.band) = (None, None, None, None);
        new.before_values.clear();
        new.reason = "it has no baseline".to_owned();
        let fast = row("sort/10k", VerdictKind::Improvement, 80_000.0, 61_000.0);
        let same = row("parse/small", VerdictKind::Unchanged, 812.0, 815.0);
        Report {
            version: REPORT_VERSION,
            title: "check against the baseline".to_owned(),
            base: Side {
                label: "baseline".to_owned(),
                commit: Some("ab".repeat(20)),
                runs: 8,
            },
            head: Side {
                label: "HEAD".to_owned(),
                commit: Some("cd".repeat(20)),
                runs: 8,
            },
            environment: "linux, x86_64, AMD EPYC 7763, 4 cores".to_owned(),
            threshold: 5.0,
            outcome: Outcome::Mixed,
            summary: "1 of 5 benchmarks is slower by more than 5 %".to_owned(),
            rows: vec![slow, rate, new, fast, same],
            notes: vec!["the work tree had changes that are not in the commit".to_owned()],
            problems: vec!["stdout: sort/nan: is not a finite number".to_owned()],
        }
    }

    #[test]
    fn what_is_too_noisy_says_so() {
        let mut report = example_report();
        report.rows.truncate(0);
        report.rows.push(Row {
            noisy: true,
            ..example_report().rows.remove(4)
        });
        assert_eq!(report.counts_text(), "1 unchanged, 1 of these too noisy to tell");
        assert_eq!(report.rows[0].verdict_text(), "too noisy");
    }

    #[test]
    fn changes_are_written_with_sign_and_no_false_digits() {
        assert_eq!(
            [8.13, -0.01, 250.4, f64::INFINITY].map(format_percent),
            ["+8.1 %", "0.0 %", "+250 %", "? %"]
        );
        assert_eq!(
            example_report().counts_text(),
            "1 regression, 1 improvement, 1 unchanged, 2 not enough data"
        );
        assert_eq!(
            example_report().sides_text(),
            "HEAD (cdcdcdcdcd), 8 runs against baseline (abababab\u{61}b), 8 runs"
        );
    }
}
