//! Bugs out of the database, ready to be shown.

mod example;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use snippex_core::diff::{Comparison, Difference, compare_observations};
use snippex_core::state::Components;
use snippex_exec::engine::EngineTable;
use snippex_store::{
    BugExample, EngineId, ExampleEntry, KnownBug, RunId, StoreHandle, StoredBug, StoredEngine, UnixMillis,
};
use snippex_triage::cause::{Attribution, BugName, CauseId, attribute_causes, of_signature};
use snippex_triage::pattern::DivergenceFacts;
use snippex_triage::signature::{Signature, SignatureId};

use crate::SessionError;

/// What stands in the database about engines and known bugs.
#[derive(Debug)]
pub struct Bugs<'s> {
    store: &'s StoreHandle,
    /// What engines document to do otherwise.
    table: &'s EngineTable,
    engines: HashMap<EngineId, StoredEngine>,
    known: Vec<KnownBug>,
    examples: HashMap<(CauseId, SignatureId), Vec<ExampleEntry>>,
}

/// A bug with all that is stored of it.
#[derive(Clone, Debug)]
pub struct ListedBug {
    /// What is behind it, which names it.
    pub cause: CauseId,
    /// Diverging runs.
    pub runs: u64,
    /// In how many ways it shows: forms of instructions with the fields that differ.
    pub signatures: usize,
    /// Forms of instructions that show it.
    pub forms: usize,
    /// When it was met for the first time.
    pub first_seen: UnixMillis,
    /// The engines that it showed on.
    pub engines: Vec<SeenOn>,
    /// Why it is known; `None` when it is new on one of these engines.
    pub known: Option<KnownBug>,
    /// Its plainest case, with the signature that this is of.
    pub example: Option<(Signature, BugExample)>,
}

/// One way in which a bug shows.
#[derive(Clone, Debug)]
pub struct ListedSignature {
    /// The bug that it is of.
    pub bug: CauseId,
    /// What differs at which instruction.
    pub signature: Signature,
    /// Diverging runs.
    pub runs: u64,
    /// Blocks with such runs.
    pub blocks: u64,
    /// When it was met for the first time.
    pub first_seen: UnixMillis,
    /// The engines that it showed on.
    pub engines: Vec<SeenOn>,
    /// Why it is known; `None` when it is new on one of these engines.
    pub known: Option<KnownBug>,
    /// Whether its example was reduced.
    pub reduced: bool,
    /// In how many fresh processes the example showed.
    pub confirmations: u32,
}

/// An engine that a bug showed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOn {
    /// What the user calls it.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// What it was started with.
    pub configuration: Vec<String>,
    /// Runs that diverged by the bug.
    pub runs: u64,
}

/// How the ends of an example compare.
#[derive(Clone, Debug)]
pub struct ComparedExample {
    /// Name of the engine that is taken as right.
    pub reference: String,
    /// Name of the other.
    pub subject: String,
    /// Parts of the state that both have.
    pub covered: Components,
    /// What came of it.
    pub comparison: Comparison,
}

/// Which bugs are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'w> {
    /// Only those that this run has met.
    pub run: Option<RunId>,
    /// Only those of the engine with this name, or of its configurations.
    pub emulator: Option<&'w str>,
}

impl<'s> Bugs<'s> {
    /// Reads what all bugs have in common. Engines' documented deviations are those of `table`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load_from_store(store: &'s StoreHandle, table: &'s EngineTable) -> Result<Self, SessionError> {
        let mut bugs = Self::load_engines(store, table)?;
        bugs.load_examples(None)?;
        Ok(bugs)
    }

    /// The bug or signature that `text` names, and what has to be read to show it alone.
    ///
    /// # Errors
    /// When the database cannot be read, or nothing is called so.
    pub fn load_one_bug(
        store: &'s StoreHandle,
        table: &'s EngineTable,
        text: &str,
    ) -> Result<(Self, BugName), SessionError> {
        let mut bugs = Self::load_engines(store, table)?;
        let causes = store.call_and_wait(async |store| store.cause_names().await)?;
        let name = match causes.into_iter().find(|cause| cause.as_str() == text) {
            Some(cause) => BugName::Cause(cause),
            None => bugs.find_bug_name(text)?,
        };
        bugs.load_examples(match &name {
            BugName::Cause(cause) => Some(cause),
            BugName::Signature(_) => None,
        })?;
        Ok((bugs, name))
    }

    /// Reads engines and known bugs, and sorts what has no cause yet.
    fn load_engines(store: &'s StoreHandle, table: &'s EngineTable) -> Result<Self, SessionError> {
        let (engines, known) = store
            .call_and_wait(async |store| Ok((store.list_engines().await?, store.known_bugs().await?)))?;
        let bugs = Self {
            store,
            table,
            engines: engines.into_iter().collect(),
            known,
            examples: HashMap::new(),
        };
        bugs.sort()?;
        Ok(bugs)
    }

    /// Reads which examples there are, of one cause or of all.
    fn load_examples(&mut self, cause: Option<&CauseId>) -> Result<(), SessionError> {
        let cause = cause.cloned();
        let entries = self
            .store
            .call_and_wait(async move |store| store.example_entries(cause.as_ref()).await)?;
        for entry in entries {
            let attribution = (entry.cause.clone(), entry.signature);
            self.examples.entry(attribution).or_default().push(entry);
        }
        Ok(())
    }

    /// Looks for the causes of bugs that were stored before there were any.
    fn sort(&self) -> Result<(), SessionError> {
        let unsorted = self
            .store
            .call_and_wait(async |store| store.unsorted_bugs().await)?;
        if unsorted.is_empty() {
            return Ok(());
        }
        let sorted: Vec<Attribution> = unsorted
            .into_iter()
            .filter_map(|(signature, example)| {
                let seen = example.and_then(|example| self.causes(&signature, &example));
                let cause = seen.or_else(|| {
                    of_signature(&signature)
                        .into_iter()
                        .next()
                        .map(|attribution| attribution.cause)
                });
                Some(Attribution {
                    cause: cause?,
                    signature,
                })
            })
            .collect();
        self.store
            .call_and_wait(async move |store| store.sort_bugs(&sorted).await)?;
        Ok(())
    }

    /// The first of the causes that an example shows.
    fn causes(&self, signature: &Signature, example: &BugExample) -> Option<CauseId> {
        let differences = self.example_differences(example);
        let facts = DivergenceFacts::new(signature, &example.case, &example.expected, &differences)?;
        attribute_causes(&facts)
            .into_iter()
            .next()
            .map(|attribution| attribution.cause)
    }

    /// What is stored of the bugs that are meant, by cause and signature.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load_stored_bugs(&self, wanted: Wanted<'_>) -> Result<Vec<StoredBug>, SessionError> {
        let run = wanted.run;
        let stored = self
            .store
            .call_and_wait(async move |store| store.list_bugs("", run).await)?;
        Ok(self.met_on(stored, wanted))
    }

    /// Those of `stored` that the wanted engine has met, with its sightings only.
    fn met_on(&self, stored: Vec<StoredBug>, wanted: Wanted<'_>) -> Vec<StoredBug> {
        let met = |mut bug: StoredBug| {
            if let Some(name) = wanted.emulator {
                bug.sightings.retain(|seen| {
                    let engine = self.engines.get(&seen.engine);
                    engine.is_some_and(|engine| is_called(&engine.name, name))
                });
            }
            (!bug.sightings.is_empty()).then_some(bug)
        };
        stored.into_iter().filter_map(met).collect()
    }

    /// The bugs that are meant, each once, the most frequent first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_bugs(&self, wanted: Wanted<'_>) -> Result<Vec<ListedBug>, SessionError> {
        self.group_by_cause(&self.load_stored_bugs(wanted)?)
    }

    /// The bugs behind `stored`, the most frequent first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn group_by_cause(&self, stored: &[StoredBug]) -> Result<Vec<ListedBug>, SessionError> {
        let mut causes: BTreeMap<&CauseId, Vec<&StoredBug>> = BTreeMap::new();
        for bug in stored {
            causes.entry(&bug.attribution.cause).or_default().push(bug);
        }
        let mut listed = causes
            .into_iter()
            .map(|(cause, bugs)| self.of_cause(cause, &bugs))
            .collect::<Result<Vec<_>, _>>()?;
        listed.sort_by_key(|bug| std::cmp::Reverse(bug.runs));
        Ok(listed)
    }

    /// A bug with all that is stored of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_cause(&self, cause: &CauseId, bugs: &[&StoredBug]) -> Result<ListedBug, SessionError> {
        let engines = self.seen_on(bugs.iter().copied());
        let ids = || bugs.iter().map(|bug| bug.attribution.signature.id());
        let own = self.known_as(&BugName::Cause(cause.clone()), &engines);
        // As good as known is a bug of which every signature is.
        let each = || {
            let mut entries = ids().map(|id| self.known_as(&BugName::Signature(id), &engines));
            let first = entries.next().flatten()?;
            entries.all(|entry| entry.is_some()).then_some(first)
        };
        let forms: BTreeSet<&str> = bugs
            .iter()
            .map(|bug| bug.attribution.signature.form.text.as_str())
            .collect();
        Ok(ListedBug {
            cause: cause.clone(),
            runs: runs(bugs.iter().copied()),
            signatures: bugs.len(),
            forms: forms.len(),
            first_seen: first_seen(bugs),
            known: own.or_else(each).cloned(),
            example: self.best_example(bugs)?,
            engines,
        })
    }

    /// One signature of a bug.
    #[must_use]
    pub fn of_signature(&self, bug: &StoredBug) -> ListedSignature {
        let engines = self.seen_on([bug]);
        let names = [
            BugName::Signature(bug.attribution.signature.id()),
            BugName::Cause(bug.attribution.cause.clone()),
        ];
        let known = names.iter().find_map(|name| self.known_as(name, &engines));
        let entry = self.best_entry(&[bug]);
        ListedSignature {
            bug: bug.attribution.cause.clone(),
            signature: bug.attribution.signature.clone(),
            runs: runs([bug]),
            blocks: bug.sightings.iter().map(|seen| seen.blocks).sum(),
            first_seen: bug.first_seen,
            known: known.cloned(),
            engines,
            reduced: entry.is_some_and(|(_, entry)| entry.reduced),
            confirmations: entry.map_or(0, |(_, entry)| entry.confirmations),
        }
    }

    /// What `text` names: a bug by its name or the beginning of it, or a signature by the beginning of its id.
    ///
    /// # Errors
    /// When the database cannot be read, or nothing is called so.
    pub fn find_bug_name(&self, text: &str) -> Result<BugName, SessionError> {
        let stored = self.load_stored_bugs(Wanted::default())?;
        let causes: BTreeSet<&CauseId> = stored.iter().map(|bug| &bug.attribution.cause).collect();
        if let Some(cause) = causes.iter().find(|cause| cause.as_str() == text) {
            return Ok(BugName::Cause((*cause).clone()));
        }
        let lower = text.to_lowercase();
        let ids: BTreeSet<SignatureId> = stored.iter().map(|bug| bug.attribution.signature.id()).collect();
        let digits = lower.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found: Vec<BugName> = Vec::new();
        if !lower.is_empty() {
            let causes = causes.iter().filter(|cause| cause.as_str().starts_with(&lower));
            found.extend(causes.map(|cause| BugName::Cause((*cause).clone())));
            let ids = ids
                .iter()
                .filter(|id| digits && id.to_string().starts_with(&lower));
            found.extend(ids.copied().map(BugName::Signature));
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(SessionError::UnknownBug(text.to_owned())),
            count => Err(SessionError::AmbiguousBug {
                text: text.to_owned(),
                count,
                names: found.iter().take(8).map(BugName::to_string).collect(),
            }),
        }
    }

    /// What is stored of the bug called `name`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_name(&self, name: &BugName, wanted: Wanted<'_>) -> Result<Vec<StoredBug>, SessionError> {
        let (name, run) = (name.clone(), wanted.run);
        let mut stored = self.store.call_and_wait(async move |store| match name {
            BugName::Cause(cause) => store.bugs_of_cause(&cause).await,
            BugName::Signature(id) => store.list_bugs(&id.to_string(), None).await,
        })?;
        if let Some(run) = run {
            stored
                .iter_mut()
                .for_each(|bug| bug.sightings.retain(|seen| seen.run == run));
            stored.retain(|bug| !bug.sightings.is_empty());
        }
        Ok(self.met_on(stored, wanted))
    }

    /// An example's ends, compared anew; `None` when an engine of it is no longer in the database.
    #[must_use]
    pub fn compare_example(&self, example: &BugExample) -> Option<ComparedExample> {
        let reference = self.engines.get(&example.reference)?;
        let subject = self.engines.get(&example.engine)?;
        let covered = reference.components.intersection(subject.components);
        let comparison = compare_observations(
            &example.case,
            &example.expected,
            &example.actual,
            covered,
            &self.table.tolerance(&subject.name),
        );
        Some(ComparedExample {
            reference: reference.name.clone(),
            subject: subject.name.clone(),
            covered,
            comparison,
        })
    }

    /// What differs in an example.
    #[must_use]
    pub fn example_differences(&self, example: &BugExample) -> Vec<Difference> {
        match self.compare_example(example).map(|compared| compared.comparison) {
            Some(Comparison::Diverged(divergence)) => divergence.differences,
            _ => Vec::new(),
        }
    }

    /// Engines whose name, version or configuration holds `text`, or whose number is `#text`.
    ///
    /// # Errors
    /// When the database cannot be read, or nothing is called so.
    pub fn engines_like(&self, text: &str) -> Result<Vec<EngineId>, SessionError> {
        let mut found: Vec<EngineId> = match text.strip_prefix('#').map(str::parse) {
            Some(Ok(number)) => vec![EngineId(number)],
            _ => {
                let exact = self.engines.values().any(|engine| engine.name == text);
                let is_meant = |engine: &StoredEngine| {
                    let parts = [&engine.name, &engine.version, &engine.configuration];
                    parts.iter().any(|part| part.contains(text)) && (!exact || engine.name == text)
                };
                self.engines
                    .iter()
                    .filter(|(_, engine)| is_meant(engine))
                    .map(|(id, _)| *id)
                    .collect()
            }
        };
        found.retain(|id| self.engines.contains_key(id));
        found.sort_unstable();
        if found.is_empty() {
            let mut all: Vec<String> = self
                .engines
                .iter()
                .map(|(id, engine)| format!("#{id} {} {}", engine.name, engine.version))
                .collect();
            all.sort();
            return Err(SessionError::UnknownEngine {
                text: text.to_owned(),
                engines: all,
            });
        }
        Ok(found)
    }

    /// Name and version of an engine.
    #[must_use]
    pub fn engine_name(&self, id: EngineId) -> String {
        self.engines.get(&id).map_or_else(String::new, |engine| {
            format!("{} {}", engine.name, engine.version)
        })
    }

    /// The bugs that are known, of whatever engine.
    #[must_use]
    pub fn known_bugs(&self) -> &[KnownBug] {
        &self.known
    }

    /// The engines that some bugs showed on, each once.
    #[must_use]
    pub fn seen_on<'b>(&self, bugs: impl IntoIterator<Item = &'b StoredBug>) -> Vec<SeenOn> {
        let mut runs: BTreeMap<EngineId, u64> = BTreeMap::new();
        for seen in bugs.into_iter().flat_map(|bug| &bug.sightings) {
            *runs.entry(seen.engine).or_default() += seen.runs;
        }
        runs.into_iter()
            .filter_map(|(id, runs)| {
                let engine = self.engines.get(&id)?;
                Some(SeenOn {
                    name: engine.name.clone(),
                    version: engine.version.clone(),
                    configuration: serde_json::from_str(&engine.configuration).unwrap_or_default(),
                    runs,
                })
            })
            .collect()
    }

    /// The entry that makes a bug known on every one of `engines`.
    fn known_as(&self, name: &BugName, engines: &[SeenOn]) -> Option<&KnownBug> {
        let mut found = None;
        for engine in engines {
            let mut entries = self.known.iter();
            let entry = entries.find(|entry| entry.bug == *name && entry.covers_engine(&engine.name));
            found = Some(entry?);
        }
        found
    }
}

fn runs<'b>(bugs: impl IntoIterator<Item = &'b StoredBug>) -> u64 {
    let sightings = bugs.into_iter().flat_map(|bug| &bug.sightings);
    sightings.map(|seen| seen.runs).sum()
}

fn first_seen(bugs: &[&StoredBug]) -> UnixMillis {
    let times = bugs.iter().map(|bug| bug.first_seen.0);
    UnixMillis(times.min().unwrap_or_default())
}

/// Whether an engine is the one called `wanted`, or a configuration of it (`fex-emu/multiblock`).
#[must_use]
pub fn is_called(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| {
        !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '-')
    })
}
