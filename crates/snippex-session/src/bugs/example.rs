//! The example of a bug: which of its cases is the plainest.

use snippex_store::{BugExample, ExampleEntry, StoredBug};
use snippex_triage::signature::Signature;

use super::Bugs;
use crate::SessionError;

impl Bugs<'_> {
    /// The best example of `bugs`, with the signature that it is of: a reduced one that is certain, of a plain encoding.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn best_example(&self, bugs: &[&StoredBug]) -> Result<Option<(Signature, BugExample)>, SessionError> {
        let Some((bug, entry)) = self.best_entry(bugs) else {
            return Ok(None);
        };
        let (cause, id, engine) = (
            bug.attribution.cause.clone(),
            bug.attribution.signature.id(),
            entry.engine,
        );
        let examples = self
            .store
            .call_and_wait(async move |store| store.bug_examples(&cause, id).await)?;
        let example = examples.into_iter().find(|example| example.engine == engine);
        Ok(example.map(|example| (bug.attribution.signature.clone(), example)))
    }

    pub(super) fn best_entry<'b>(
        &'b self,
        bugs: &[&'b StoredBug],
    ) -> Option<(&'b StoredBug, &'b ExampleEntry)> {
        let entries = bugs.iter().flat_map(|bug| {
            let key = (bug.attribution.cause.clone(), bug.attribution.signature.id());
            let entries = self.examples.get(&key).map_or(&[][..], Vec::as_slice);
            entries.iter().map(move |entry| (*bug, entry))
        });
        // Of the engines that were asked for.
        let asked = |(bug, entry): &(&StoredBug, &ExampleEntry)| {
            bug.sightings.iter().any(|seen| seen.engine == entry.engine)
        };
        entries.filter(asked).max_by_key(|(bug, entry)| {
            let form = &bug.attribution.signature.form;
            let plain = !form.encoding.contains('+');
            (
                entry.reduced,
                entry.confirmations,
                plain,
                std::cmp::Reverse(form.text.len()),
                bug.attribution.signature.fields.len(),
                entry.found,
            )
        })
    }
}
