//! A bug as an issue for the people who can mend it: title, text, and the fingerprint by which it is found again.

use cli_kit::Failure;
use serde::Serialize;
use snippex_core::words::difference_sentence;
use snippex_formats::repro::{ReproForm, Reproducer};
use snippex_report::report::{ReportBug, code_block, code_span, escape_markdown};
use snippex_session::{CaseName, JudgedCase, ReproducedCase, reproducer_notes, reproducer_title};
use snippex_store::StoreHandle;

use crate::app::App;
use crate::hints::OrUserError;

/// The label by which our issues are listed, besides those that the user wants.
pub(crate) const LABEL: &str = "snippex";
/// Lines of a reproducer that stands in the text; what is longer is folded.
const MAX_OPEN_LINES: usize = 15;
/// Lines of a test that is there to be run; a longer one is left out.
const MAX_TEST_LINES: usize = 60;
/// Before the number that tells how plain the case of an issue is.
const CASE_SIZE: &str = "Lines of the case: ";
/// Bytes of a case: with all around it the text stays below what GitHub takes.
const MAX_CASE_SIZE: usize = 40_000;
/// What differs, in lines.
const MAX_DIFFERENCES: usize = 12;

/// An issue as it would be opened.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct IssueDraft {
    /// Name of the bug.
    pub(crate) bug: String,
    /// Cause and engine; the same bug of another version of an engine has the same.
    pub(crate) fingerprint: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// Name and version of each engine that shows it.
    pub(crate) engines: Vec<(String, String)>,
    /// By which a report of somebody else would be found.
    pub(crate) search_words: String,
    /// Lines of the case: the fewer, the plainer.
    pub(crate) case_lines: usize,
    /// The reproducers alone, for who has the rest.
    #[serde(skip)]
    pub(crate) reproducers: String,
}

impl IssueDraft {
    /// The issue about `bug`.
    pub(crate) fn for_bug(app: &App<'_>, bug: &ReportBug) -> Result<Self, Failure> {
        let (name, location) = (CaseName::new(&bug.id), app.database_location()?);
        let store = || StoreHandle::open_existing(&location);
        let reproduced = ReproducedCase::load_by_name(&name, &app.engines, None, store).or_user_error()?;
        let reference = app
            .engine_names()
            .choose_engine(&app.settings.value.reference)
            .or_user_error()?;
        let judged = reproduced
            .judge_case(&app.engines, &reference, None)
            .or_user_error()?;
        let engines: Vec<(String, String)> = bug
            .engines
            .iter()
            .map(|engine| (engine.name.clone(), engine.version.clone()))
            .collect();
        let fingerprint = fingerprint(&bug.id, engines.first().map_or("", |(name, _)| name));
        let title = reproducer_title(&reproduced, &judged);
        let (reproducers, case_lines) = reproducers(&reproduced, &judged);
        Ok(Self {
            bug: bug.id.clone(),
            text: text(bug, &reproduced, &judged, &fingerprint, &reproducers),
            case_lines,
            reproducers,
            search_words: mnemonic(bug),
            fingerprint,
            title,
            engines,
        })
    }
}

/// `snippex/CAUSE/ENGINE`, the engine without its configuration.
fn fingerprint(cause: &str, engine: &str) -> String {
    let engine = engine.split(['/', ':']).next().unwrap_or_default();
    format!("snippex/{cause}/{engine}")
}

/// Whether an issue's text has the line that says so.
pub(crate) fn has_fingerprint(text: &str, fingerprint: &str) -> bool {
    let wanted = format!("Fingerprint: {}", code_span(fingerprint));
    text.lines().any(|line| line.trim() == wanted)
}

/// Of the example's last instruction, which is the one at fault in a reduced case.
fn mnemonic(bug: &ReportBug) -> String {
    let last = bug.example.as_ref().and_then(|example| example.code.last());
    let word = last.and_then(|line| line.split_whitespace().next());
    word.unwrap_or_default().to_owned()
}

fn text(
    bug: &ReportBug,
    reproduced: &ReproducedCase,
    judged: &JudgedCase,
    fingerprint: &str,
    reproducers: &str,
) -> String {
    let mut text = String::new();
    if let (Some(manual), Some(reference)) = (&bug.manual, &bug.reference) {
        text += &format!(
            "{} ({}).\n\n",
            escape_markdown(manual),
            escape_markdown(reference)
        );
    }
    text += &differences(judged);
    text += reproducers;
    text += "\n**Where**\n\n";
    for note in reproducer_notes(reproduced, judged, ReproForm::Case) {
        text += &format!("- {}\n", escape_markdown(&note));
    }
    text += &format!(
        "\nFound and written by snippex {}: test and text are made by a program. {}, in {} runs of {} instruction forms.\n\nFingerprint: {}\n",
        env!("CARGO_PKG_VERSION"),
        match bug.certainty.as_str() {
            "confirmed" => "It was confirmed in fresh processes".to_owned(),
            other => format!("It is {other}"),
        },
        snippex_report::format_number(bug.runs),
        snippex_report::format_number(bug.forms),
        code_span(fingerprint)
    );
    text
}

fn differences(judged: &JudgedCase) -> String {
    let Some((engine, divergence)) = &judged.divergence else {
        return String::new();
    };
    let cpu = judged.cpu.as_deref().unwrap_or("the reference");
    let mut text = format!(
        "{}, against {}:\n\n",
        escape_markdown(engine),
        escape_markdown(cpu)
    );
    for difference in divergence.differences.iter().take(MAX_DIFFERENCES) {
        text += &format!("- {}\n", escape_markdown(&difference_sentence(difference)));
    }
    let more = divergence.differences.len().saturating_sub(MAX_DIFFERENCES);
    if more > 0 {
        text += &format!("- and {more} more\n");
    }
    text + "\n"
}

/// The case as people read it, and a test in FEX-Emu's form, which runs anywhere that nasm does; with the lines of the case. What
/// has at most [`MAX_OPEN_LINES`] stands open, the case first, the rest is folded.
fn reproducers(reproduced: &ReproducedCase, judged: &JudgedCase) -> (String, usize) {
    let reproducer = || Reproducer {
        title: reproducer_title(reproduced, judged),
        // They stand in the text.
        notes: Vec::new(),
        needs: reproduced.needs.clone(),
        case: &reproduced.case,
        expected: &judged.expected,
        covered: judged.covered,
        fields: judged
            .divergence
            .iter()
            .flat_map(|(_, divergence)| &divergence.differences)
            .map(|difference| difference.field)
            .collect(),
        spelling: Vec::new(),
    };
    let case = untitled_case(&reproducer().render_text(ReproForm::Case).unwrap_or_default());
    // Not everything can be said in that form.
    let test = reproducer().render_text(ReproForm::FexAsm).ok();
    let test = test.filter(|text| text.lines().count() <= MAX_TEST_LINES);
    let lines = case.lines().count();
    let is_case_open = lines <= MAX_OPEN_LINES;
    let mut text = if case.len() <= MAX_CASE_SIZE {
        let heading = "The case, for <code>snippex conformance</code> and <code>snippex repro</code>";
        shown_or_folded(heading, &code_block("text", &case), is_case_open)
    } else {
        "The case is too large to stand here; the one who has found it can send it.\n".to_owned()
    };
    if let Some(test) = test {
        let is_open = !is_case_open && test.lines().count() <= MAX_OPEN_LINES;
        let heading = "A test in the form of FEX-Emu's unit tests";
        text += "\n";
        text += &shown_or_folded(heading, &code_block("asm", &test), is_open);
    }
    text += &format!("\n{CASE_SIZE}{lines}\n");
    (text, lines)
}

/// A block of code with a heading that is HTML, folded unless it is to stand open.
fn shown_or_folded(heading: &str, code: &str, is_open: bool) -> String {
    if is_open {
        format!("{heading}:\n\n{code}\n")
    } else {
        format!("<details><summary>{heading}</summary>\n\n{code}\n\n</details>\n")
    }
}

/// A case without its title, which is that of the issue.
fn untitled_case(case: &str) -> String {
    let lines = case.lines().filter(|line| !line.starts_with("title "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// How many lines the case of an issue or comment has, where it says so.
pub(crate) fn case_lines_of(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(CASE_SIZE))?;
    line.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_case_is_read_from_its_line() {
        assert_eq!(case_lines_of("x\n Lines of the case: 12\r\ny"), Some(12));
        assert_eq!(case_lines_of("Lines of the case: many"), None);
        assert_eq!(
            untitled_case("snip 1\ntitle a\nblock 0x1\n"),
            "snip 1\nblock 0x1\n"
        );
    }

    #[test]
    fn a_fingerprint_is_found_in_its_line_alone() {
        let line = fingerprint("mxcsr-de", "qemu-x86_64/one");
        assert_eq!(line, "snippex/mxcsr-de/qemu-x86_64");
        assert!(has_fingerprint(
            "x\n Fingerprint: `snippex/mxcsr-de/qemu-x86_64` \r\ny",
            &line
        ));
        assert!(!has_fingerprint(
            "see Fingerprint: `snippex/mxcsr-de/qemu-x86_64` there",
            &line
        ));
        assert!(!has_fingerprint(
            "Fingerprint: `snippex/mxcsr-de/qemu-x86_64x`",
            &line
        ));
    }
}
