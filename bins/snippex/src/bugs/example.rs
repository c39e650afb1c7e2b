//! The example of a bug that is shown.

use cli_kit::Failure;
use snippex_core::case::Case;
use snippex_core::codec::CaseId;
use snippex_formats::snip::Snip;
use snippex_store::{BugExample, ExampleEntry, StoredBug};
use snippex_triage::signature::Signature;

use super::Bugs;
use crate::tell::OrTell;
use crate::view::bugs::ExampleView;

impl Bugs<'_> {
    /// The best example of `bugs`, with the signature that it is of: a reduced one that is certain, of a plain encoding.
    pub(crate) fn best(&self, bugs: &[&StoredBug]) -> Result<Option<(Signature, BugExample)>, Failure> {
        let Some((bug, entry)) = self.best_entry(bugs) else {
            return Ok(None);
        };
        let (cause, id, engine) = (bug.share.cause.clone(), bug.share.signature.id(), entry.engine);
        let examples = self
            .store
            .call(async move |store| store.bug_examples(&cause, id).await)
            .or_tell()?;
        let example = examples.into_iter().find(|example| example.engine == engine);
        Ok(example.map(|example| (bug.share.signature.clone(), example)))
    }

    pub(super) fn best_entry<'b>(
        &'b self,
        bugs: &[&'b StoredBug],
    ) -> Option<(&'b StoredBug, &'b ExampleEntry)> {
        let entries = bugs.iter().flat_map(|bug| {
            let key = (bug.share.cause.clone(), bug.share.signature.id());
            let entries = self.examples.get(&key).map_or(&[][..], Vec::as_slice);
            entries.iter().map(move |entry| (*bug, entry))
        });
        // Of the engines that were asked for.
        let asked = |(bug, entry): &(&StoredBug, &ExampleEntry)| {
            bug.sightings.iter().any(|seen| seen.engine == entry.engine)
        };
        entries.filter(asked).max_by_key(|(bug, entry)| {
            let form = &bug.share.signature.form;
            let plain = !form.encoding.contains('+');
            (
                entry.reduced,
                entry.confirmations,
                plain,
                std::cmp::Reverse(form.text.len()),
                bug.share.signature.fields.len(),
                entry.found,
            )
        })
    }

    pub(super) fn example(&self, signature: &Signature, example: &BugExample) -> ExampleView {
        // Of a case as it was met, that is long, a glimpse.
        let mut lines = self.disassembler.lines(&example.case.block);
        lines.truncate(3);
        ExampleView {
            signature: signature.id(),
            code: lines
                .into_iter()
                .map(|line| line.text.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect(),
            bytes: hex(&example.case.block.bytes),
            state: start(&example.case),
            case: CaseId::of(&example.case).to_string(),
            reduced: example.reduced,
            confirmations: example.confirmations,
        }
    }
}

/// What a case starts with, as its text has it: registers, then pages.
fn start(case: &Case) -> Vec<String> {
    let text = Snip::of(case.clone()).text();
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

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}
