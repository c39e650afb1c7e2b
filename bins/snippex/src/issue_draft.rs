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
/// Lines of a test that people read; a longer one is folded.
const MAX_TEST_LINES: usize = 60;
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
}

impl IssueDraft {
    /// The issue about `bug`.
    pub(crate) fn for_bug(app: &App<'_>, bug: &ReportBug) -> Result<Self, Failure> {
        let (name, location) = (CaseName::new(&bug.id), app.database_location()?);
        let store = || StoreHandle::open_existing(&location);
        let reproduced = ReproducedCase::load_by_name(&name, &app.engines, store).or_user_error()?;
        let judged = reproduced.judge_case(&app.engines, None).or_user_error()?;
        let engines: Vec<(String, String)> = bug
            .engines
            .iter()
            .map(|engine| (engine.name.clone(), engine.version.clone()))
            .collect();
        let fingerprint = fingerprint(&bug.id, engines.first().map_or("", |(name, _)| name));
        let title = reproducer_title(&reproduced, &judged);
        Ok(Self {
            bug: bug.id.clone(),
            text: text(bug, &reproduced, &judged, &fingerprint)?,
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
) -> Result<String, Failure> {
    let mut text = String::new();
    if let (Some(manual), Some(reference)) = (&bug.manual, &bug.reference) {
        text += &format!(
            "{} ({}).\n\n",
            escape_markdown(manual),
            escape_markdown(reference)
        );
    }
    text += &differences(judged);
    text += &test(reproduced, judged)?;
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
    Ok(text)
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

/// A test in FEX-Emu's form, which runs anywhere that nasm does; else the case.
fn test(reproduced: &ReproducedCase, judged: &JudgedCase) -> Result<String, Failure> {
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
    // Not everything can be said in that form.
    let assembler = reproducer().render_text(ReproForm::FexAsm).ok();
    let short = assembler.filter(|text| text.lines().count() <= MAX_TEST_LINES);
    let case = reproducer().render_text(ReproForm::Case).unwrap_or_default();
    let mut text = String::new();
    if let Some(assembler) = &short {
        text += &format!(
            "A test in the form of FEX-Emu's unit tests:\n\n{}\n\n",
            code_block("asm", assembler)
        );
    }
    if case.len() <= MAX_CASE_SIZE {
        text += &format!(
            "<details><summary>The case, for <code>snippex replay</code> and <code>snippex repro</code></summary>\n\n{}\n\n</details>\n",
            code_block("text", &case)
        );
    } else {
        text += "The case is too large to stand here; the one who has found it can send it.\n";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

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
