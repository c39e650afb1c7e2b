//! Bugs of the database as the views show them.

use snippex_core::case::Case;
use snippex_core::codec::CaseId;
use snippex_formats::snip::Snip;
use snippex_report::bugs::{BugView, ExampleView, KnownView, SeenOn, SignatureView};
use snippex_report::disassembly::{DecoderError, Disassembler, Syntax};
use snippex_report::spaced_hex;
use snippex_session::{self as session, ListedBug, ListedSignature};
use snippex_store::{BugExample, KnownBug, UnixMillis};
use snippex_triage::signature::Signature;

/// Instructions of a case as it was met, that is long: a glimpse.
const SHOWN: usize = 3;

/// The view of each bug.
pub(crate) fn bug_views(bugs: &[ListedBug]) -> Result<Vec<BugView>, DecoderError> {
    let disassembler = Disassembler::new(Syntax::Intel)?;
    Ok(bugs.iter().map(|bug| bug_view(bug, &disassembler)).collect())
}

fn bug_view(bug: &ListedBug, disassembler: &Disassembler) -> BugView {
    let pattern = bug.cause.pattern();
    let example = bug.example.as_ref();
    BugView {
        id: bug.cause.clone(),
        title: bug.cause.title(),
        runs: bug.runs,
        signatures: bug.signatures,
        forms: bug.forms,
        first_seen: bug.first_seen.0,
        engines: bug.engines.iter().map(seen_on).collect(),
        known: bug.known.as_ref().map(known_view),
        example: example.map(|(signature, example)| example_view(signature, example, disassembler)),
        pattern,
        right: pattern.map(|_| "reference"),
    }
}

/// The view of one way in which a bug shows.
pub(crate) fn signature_view(listed: &ListedSignature) -> SignatureView {
    let signature = &listed.signature;
    SignatureView {
        id: signature.id(),
        bug: listed.bug.clone(),
        kind: signature.kind.name(),
        instruction: signature.form.text.clone(),
        encoding: signature.form.encoding.clone(),
        fields: signature.fields.clone(),
        runs: listed.runs,
        blocks: listed.blocks,
        first_seen: listed.first_seen.0,
        engines: listed.engines.iter().map(seen_on).collect(),
        known: listed.known.as_ref().map(known_view),
        reduced: listed.reduced,
        confirmations: listed.confirmations,
        signature: signature.clone(),
    }
}

fn seen_on(seen: &session::SeenOn) -> SeenOn {
    SeenOn {
        name: seen.name.clone(),
        version: seen.version.clone(),
        configuration: seen.configuration.clone(),
        runs: seen.runs,
    }
}

fn known_view(known: &KnownBug) -> KnownView {
    let UnixMillis(added) = known.added;
    KnownView {
        issue: known.issue.clone(),
        note: known.note.clone(),
        added,
    }
}

pub(crate) fn example_view(
    signature: &Signature,
    example: &BugExample,
    disassembler: &Disassembler,
) -> ExampleView {
    let mut lines = disassembler.disassemble_block(&example.case.block);
    lines.truncate(SHOWN);
    ExampleView {
        signature: signature.id(),
        code: lines
            .into_iter()
            .map(|line| line.text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect(),
        bytes: spaced_hex(&example.case.block.bytes),
        state: start(&example.case),
        case: CaseId::from_case(&example.case).to_string(),
        reduced: example.reduced,
        confirmations: example.confirmations,
    }
}

/// What a case starts with, as its text has it: registers, then pages.
fn start(case: &Case) -> Vec<String> {
    let text = Snip::from_case(case.clone()).render_text();
    let lines = text.lines().skip_while(|line| *line != "start").skip(1);
    let lines = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut start = Vec::new();
    let mut page = String::new();
    for line in lines.take_while(|line| !line.starts_with("end ")) {
        match line.split_once(": ") {
            // Bytes of a page.
            Some((offset, bytes)) => start.push(format!("[{page}+{offset}] = {bytes}")),
            None if line.starts_with("page ") => {
                page = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            None => start.push(line.to_owned()),
        }
    }
    start
}
