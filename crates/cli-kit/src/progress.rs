//! How far a task is: a bar on a terminal, lines in a log, or nothing.

use std::fmt::Display;
use std::io::stderr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{Printer, units};

const LINE_EVERY: Duration = Duration::from_secs(10);
const TICK_EVERY: Duration = Duration::from_millis(120);
/// No eye reads words that change more often.
const MESSAGE_EVERY: Duration = Duration::from_millis(100);

/// A task under way. Threads may share it; dropping it removes the bar.
#[derive(Debug)]
pub struct Progress<'a> {
    printer: &'a Printer,
    task: String,
    bar: ProgressBar,
    started: Instant,
    /// When the next line is due; nothing where lines are not wanted.
    next_line: Option<Mutex<Instant>>,
    /// When the next message of [`Progress::refresh_message`] is due.
    next_message: Mutex<Instant>,
}

impl<'a> Progress<'a> {
    pub(crate) fn start(printer: &'a Printer, task: &str, total: Option<u64>) -> Progress<'a> {
        let width = terminal_size::terminal_size_of(stderr()).map(|(width, _)| width.0);
        let style = ProgressStyle::with_template(&template(total.is_some(), width))
            .expect("the templates below are well formed");
        // A hidden bar still counts, which the lines are made from.
        let bar = printer
            .bars()
            .add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_prefix(task.to_owned());
        if total.is_none() {
            // Nobody may ever come to advance it.
            bar.enable_steady_tick(TICK_EVERY);
        }
        let started = Instant::now();
        let next_line = printer
            .shows_progress_lines()
            .then(|| Mutex::new(started + LINE_EVERY));
        Progress {
            printer,
            task: task.to_owned(),
            bar,
            started,
            next_line,
            next_message: Mutex::new(started),
        }
    }

    /// That much more is done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
        if let Some(next) = &self.next_line {
            // Whoever holds the lock prints the line; the others need not wait for it.
            let Ok(mut due) = next.try_lock() else { return };
            if Instant::now() >= *due {
                *due += LINE_EVERY;
                self.printer.print_note(self.text());
            }
        }
    }

    /// So much more is to be done than was known.
    pub fn expect_more(&self, more: u64) {
        self.bar.inc_length(more);
    }

    /// Shows a word on how it goes, such as a rate or what was found so far.
    pub fn set_message(&self, message: impl Display) {
        self.bar.set_message(message.to_string());
    }

    /// Shows what `message` says unless one was shown within a tenth of a second: for what changes with every step of a task.
    pub fn refresh_message(&self, message: impl FnOnce() -> String) {
        let Ok(mut due) = self.next_message.try_lock() else {
            return;
        };
        let now = Instant::now();
        if now >= *due {
            *due = now + MESSAGE_EVERY;
            self.bar.set_message(message());
        }
    }

    /// How much is done.
    #[must_use]
    pub fn amount_done(&self) -> u64 {
        self.bar.position()
    }

    /// How long the task has been going.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn text(&self) -> String {
        let done = units::format_count(self.bar.position());
        let of = self
            .bar
            .length()
            .map_or_else(String::new, |total| format!(" of {}", units::format_count(total)));
        let elapsed = units::format_duration(self.elapsed());
        let message = self.bar.message();
        let gap = if message.is_empty() { "" } else { "  " };
        format!("{}: {done}{of} in {elapsed}{gap}{message}", self.task)
    }
}

/// What is drawn, on one line of a terminal of this width: a line that wraps is not drawn over but below.
fn template(has_total: bool, width: Option<u16>) -> String {
    /// All but the bar.
    const REST: u16 = 45;
    let bar = width.unwrap_or(80).saturating_sub(REST).clamp(4, 30);
    if has_total {
        format!("{{prefix}} {{bar:{bar}}} {{percent:>3}} %  {{eta}} left  {{wide_msg}}")
    } else {
        "{prefix} {spinner} {elapsed}  {wide_msg}".to_owned()
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_leaves_room_for_the_rest_of_its_line() {
        let bar = |width| template(true, width).split(['{', '}']).nth(3).map(str::to_owned);
        assert_eq!(bar(None).as_deref(), Some("bar:30"));
        assert_eq!(bar(Some(200)).as_deref(), Some("bar:30"));
        assert_eq!(bar(Some(60)).as_deref(), Some("bar:15"));
        assert_eq!(bar(Some(20)).as_deref(), Some("bar:4"));
        for template in [template(true, Some(60)), template(false, Some(60))] {
            assert!(
                template.ends_with("{wide_msg}"),
                "what is left of the line is cut: {template}"
            );
            ProgressStyle::with_template(&template).unwrap();
        }
    }

    #[test]
    fn a_hidden_task_counts_and_prints_nothing() {
        let printer = Printer::on_streams(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let progress = printer.start_progress("runs", Some(2000));
        progress.advance(1500);
        progress.refresh_message(|| "3 diverged".to_owned());
        progress.refresh_message(|| "4 diverged, a moment later".to_owned());
        assert_eq!(progress.amount_done(), 1500);
        let text = progress.text();
        assert!(text.starts_with("runs: 1.50 k of 2.00 k in "), "{text}");
        assert!(text.ends_with("  3 diverged"), "{text}");
    }
}
