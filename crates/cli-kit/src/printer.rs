//! The one place that writes to standard output and standard error.
//!
//! Standard output carries the answer and nothing else, so that it can be piped; notes, warnings,
//! errors and progress go to standard error. When the reader of the answer goes away (`| head`),
//! the rest of the answer is dropped silently, and [`Printer::reader_is_gone`] tells a long command
//! that it may stop.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstream::StripStream;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::late_file::LateFile;
use crate::style::{ERROR, HINT, WARNING};
use crate::{ColorChoice, Failure, OrFail, OutputArgs, Progress, ProgressChoice};

/// Something that bytes can be written to from any thread.
pub type Sink = Box<dyn Write + Send>;

/// Writes the answer to one stream and everything else to another.
pub struct Printer {
    answer: Mutex<Stream>,
    other: Mutex<Stream>,
    bars: MultiProgress,
    progress: ProgressChoice,
    quiet: bool,
}

struct Stream {
    sink: Sink,
    /// What to call it in an error.
    name: String,
    color: bool,
    /// Whether somebody watches: then every line goes out at once.
    live: bool,
    gone: bool,
}

impl Printer {
    /// A printer on the process's own streams, as the options say.
    ///
    /// # Errors
    /// When the file of `--output` cannot be made.
    pub fn new(args: &OutputArgs) -> Result<Printer, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let choice = args.color_choice();
        let stdout_is_terminal = io::stdout().is_terminal();
        let (sink, name, live, color): (Sink, _, _, _) =
            match args.output.as_deref().filter(|path| *path != Path::new("-")) {
                None => {
                    let color = choice.wants_color(stdout_is_terminal, environment);
                    (
                        Box::new(io::stdout()),
                        "standard output".to_owned(),
                        stdout_is_terminal,
                        color,
                    )
                }
                Some(path) => {
                    let name = path.display().to_string();
                    let file = LateFile::create(path)
                        .or_fail_with(|| format!("cannot write {name}"))
                        .map_err(|failure| {
                            failure.hint("name a file that you may write with --output FILE")
                        })?;
                    (Box::new(file), name, false, choice == ColorChoice::Always)
                }
            };
        let stderr_is_terminal = io::stderr().is_terminal();
        let show_bars = stderr_is_terminal && args.progress == ProgressChoice::Auto && !args.quiet;
        Ok(Printer {
            answer: Mutex::new(Stream {
                sink: Box::new(BufWriter::new(sink)),
                name,
                color,
                live,
                gone: false,
            }),
            other: Mutex::new(Stream {
                sink: Box::new(io::stderr()),
                name: "standard error".to_owned(),
                color: choice.wants_color(stderr_is_terminal, environment),
                live: true,
                gone: false,
            }),
            bars: MultiProgress::with_draw_target(if show_bars {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            }),
            progress: args.progress,
            quiet: args.quiet,
        })
    }

    /// A printer on the process's own streams with every option at its default.
    #[must_use]
    pub fn on_standard_streams() -> Printer {
        Printer::new(&OutputArgs::default()).expect("without a file to make, nothing can fail")
    }

    /// A printer without colour on streams of the caller's own, for tests.
    #[must_use]
    pub fn on_streams(answer: Sink, other: Sink) -> Printer {
        let stream = |sink, name: &str| {
            Mutex::new(Stream {
                sink,
                name: name.to_owned(),
                color: false,
                live: true,
                gone: false,
            })
        };
        Printer {
            answer: stream(answer, "the answer"),
            other: stream(other, "the notes"),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            progress: ProgressChoice::Off,
            quiet: false,
        }
    }

    /// Writes text of the answer as it is.
    ///
    /// # Errors
    /// When the stream does not take it, for example because the disk is full. A closed pipe is none.
    pub fn print_text(&self, text: impl Display) -> Result<(), Failure> {
        let mut answer = lock(&self.answer);
        if answer.live {
            // Bars stand on the same terminal and have to make room.
            self.bars.suspend(|| answer.write(format_args!("{text}")))
        } else {
            answer.write(format_args!("{text}"))
        }
    }

    /// Writes bytes of the answer that are no text, such as a PDF.
    ///
    /// # Errors
    /// As for [`print_text`](Printer::print_text); also when a terminal would get them.
    pub fn print_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut answer = lock(&self.answer);
        if answer.live {
            return Err(
                Failure::new("this answer is no text, and a terminal would show rubbish")
                    .hint("name a file with --output FILE, or pipe it"),
            );
        }
        answer.write_bytes(bytes)
    }

    /// Writes a line of the answer.
    ///
    /// # Errors
    /// As for [`print_text`](Printer::print_text).
    pub fn print_line(&self, line: impl Display) -> Result<(), Failure> {
        self.print_text(format_args!("{line}\n"))
    }

    /// Writes `value` as one JSON document, indented.
    ///
    /// # Errors
    /// As for [`print_text`](Printer::print_text), or when the value cannot be written as JSON.
    pub fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.print_line(serde_json::to_string_pretty(value).or_fail("cannot write the answer as JSON")?)
    }

    /// Writes `value` as one line of JSON.
    ///
    /// # Errors
    /// As for [`print_json`](Printer::print_json).
    pub fn print_json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.print_line(serde_json::to_string(value).or_fail("cannot write the answer as JSON")?)
    }

    /// Tells the user something that is not part of the answer; `--quiet` leaves it out.
    pub fn print_note(&self, note: impl Display) {
        if !self.quiet {
            self.tell(format_args!("{note}\n"));
        }
    }

    /// Warns of something that does not stop the command.
    pub fn print_warning(&self, warning: impl Display) {
        self.tell(format_args!("{WARNING}warning{WARNING:#}: {warning}\n"));
    }

    /// Prints a failure and its hint.
    pub fn print_failure(&self, failure: &Failure) {
        self.tell(format_args!("{ERROR}error{ERROR:#}: {failure}\n"));
        if let Some(hint) = failure.hint_text() {
            self.tell(format_args!("{HINT}hint{HINT:#}: {hint}\n"));
        }
    }

    /// Starts to show how far a task is; `total` is nothing where it is not known.
    #[must_use]
    pub fn start_progress(&self, task: &str, total: Option<u64>) -> Progress<'_> {
        Progress::start(self, task, total)
    }

    /// Writes out what is still in the buffer.
    ///
    /// # Errors
    /// As for [`print_text`](Printer::print_text).
    pub fn flush(&self) -> Result<(), Failure> {
        let mut answer = lock(&self.answer);
        let flushed = answer.sink.flush();
        answer.settle(flushed)
    }

    /// Whether nobody reads the answer any more: what is still to come would be dropped.
    #[must_use]
    pub fn reader_is_gone(&self) -> bool {
        lock(&self.answer).gone
    }

    /// Whether the answer is shown in colour.
    #[must_use]
    pub fn has_color(&self) -> bool {
        lock(&self.answer).color
    }

    /// Columns of the terminal that shows the answer; nothing if none does.
    #[must_use]
    pub fn width(&self) -> Option<u16> {
        let live = lock(&self.answer).live;
        live.then(terminal_size::terminal_size)
            .flatten()
            .map(|(width, _)| width.0)
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    pub(crate) fn shows_progress_lines(&self) -> bool {
        self.progress == ProgressChoice::Lines && !self.quiet
    }

    fn tell(&self, text: fmt::Arguments<'_>) {
        // When even standard error is gone there is nobody left to tell.
        self.bars.suspend(|| lock(&self.other).write(text).ok());
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer")
            .field("progress", &self.progress)
            .field("quiet", &self.quiet)
            .finish()
    }
}

impl Stream {
    fn write(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let written = if self.color {
            self.sink
                .write_all(keep_colors_only(&text.to_string(), true).as_bytes())
        } else {
            StripStream::new(&mut self.sink).write_fmt(text)
        };
        let written = written.and_then(|()| if self.live { self.sink.flush() } else { Ok(()) });
        self.settle(written)
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let written = self.sink.write_all(bytes);
        self.settle(written)
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            other => other
                .or_fail_with(|| format!("cannot write to {}", self.name))
                .map_err(|failure| failure.hint("make room there, or write elsewhere with --output FILE")),
        }
    }
}

/// `text` with U+FFFD for what controls a terminal other than colours: names of files may hold anything, and must not move the
/// cursor or fake a line. Line feeds and tabs stay where there may be lines.
pub(crate) fn keep_colors_only(text: &str, lines: bool) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && !(lines && c == '\n')) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(char::is_control) {
        let (before, control) = rest.split_at(at);
        kept += before;
        let width = color_width(control).unwrap_or_else(|| {
            let stays = lines && (control.starts_with(['\n', '\t']) || control.starts_with("\r\n"));
            let c = control.chars().next().unwrap_or_default();
            kept.push(if stays { c } else { char::REPLACEMENT_CHARACTER });
            c.len_utf8()
        });
        let (shown, after) = control.split_at(width);
        if shown.len() > 1 && shown.starts_with('\u{1b}') {
            kept += shown;
        }
        rest = after;
    }
    kept += rest;
    Cow::Owned(kept)
}

/// Length of the sequence that sets a colour, if `text` begins with one.
fn color_width(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..]
        .starts_with('m')
        .then_some("\u{1b}[".len() + end + 1)
}

/// A panic elsewhere while printing leaves at worst half a line behind.
fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::GOOD;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn the_answer_and_the_rest_go_apart() {
        let (answer, other) = (Memory::default(), Memory::default());
        let printer = Printer::on_streams(Box::new(answer.clone()), Box::new(other.clone()));
        printer.print_line(format_args!("{GOOD}match{GOOD:#}")).unwrap();
        printer.print_json_line(&[1, 2]).unwrap();
        printer.print_warning("slow disk");
        printer.print_failure(&Failure::new("no such file").hint("name another"));
        assert_eq!(answer.text(), "match\n[1,2]\n");
        assert_eq!(
            other.text(),
            "warning: slow disk\nerror: no such file\nhint: name another\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_is_remembered() {
        let printer = Printer::on_streams(Box::new(Broken(ErrorKind::BrokenPipe)), Box::new(io::sink()));
        assert!(!printer.reader_is_gone());
        printer.print_line("one").unwrap();
        printer.print_line("two").unwrap();
        assert!(printer.reader_is_gone());
    }

    #[test]
    fn only_colours_reach_a_terminal() {
        let text = format!("{GOOD}match{GOOD:#}\n\ta\r\n");
        assert_eq!(keep_colors_only(&text, true), text);
        assert_eq!(
            keep_colors_only("a\u{1b}[2Jb\u{1b}]0;x\u{7}\rc\u{9b}d\u{1b}", true),
            "a\u{fffd}[2Jb\u{fffd}]0;x\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}"
        );
        assert_eq!(keep_colors_only("a\nb\u{1b}[1mc", false), "a\u{fffd}b\u{1b}[1mc");
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let printer = Printer::on_streams(Box::new(Broken(ErrorKind::StorageFull)), Box::new(io::sink()));
        let failure = printer.print_line("one").unwrap_err();
        assert!(
            failure.to_string().starts_with("cannot write to the answer: "),
            "{failure}"
        );
    }

    #[test]
    fn a_file_takes_the_answer_without_colour() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer");
        let args = OutputArgs {
            output: Some(path.clone()),
            ..OutputArgs::default()
        };
        let printer = Printer::new(&args).unwrap();
        printer.print_line(format_args!("{GOOD}match{GOOD:#}")).unwrap();
        printer.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "match\n");

        let args = OutputArgs {
            output: Some(folder.path().join("no/such/folder")),
            ..OutputArgs::default()
        };
        assert!(
            Printer::new(&args)
                .unwrap_err()
                .to_string()
                .starts_with("cannot write ")
        );
    }
}
