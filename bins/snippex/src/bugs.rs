//! Bugs out of the database, ready to be shown.

use std::collections::{BTreeMap, HashMap};

use cli_kit::Failure;
use snippex_core::codec::CaseId;
use snippex_core::diff::Difference;
use snippex_core::ruling::Evidence;
use snippex_core::signature::SignatureId;
use snippex_store::{BugExample, Engine, EngineId, KnownBug, RunId, StoreHandle, StoredBug};

use crate::args::Syntax;
use crate::engines::tolerance_of;
use crate::tell::OrTell;
use crate::view::bugs::{BugView, KnownView, SeenOn};
use crate::view::disassembly::Disassembler;

/// What stands in the database about engines and known bugs.
pub(crate) struct Bugs<'s> {
    store: &'s StoreHandle,
    engines: HashMap<EngineId, Engine>,
    known: Vec<KnownBug>,
    disassembler: Disassembler,
}

impl<'s> Bugs<'s> {
    pub(crate) fn read(store: &'s StoreHandle) -> Result<Self, Failure> {
        let (engines, known) = store
            .call(async |store| Ok((store.engines().await?, store.known_bugs().await?)))
            .or_tell()?;
        Ok(Self {
            store,
            engines: engines.into_iter().collect(),
            known,
            disassembler: Disassembler::new(Syntax::Intel)?,
        })
    }

    /// The bugs of a run, or of all; of one engine, or of all; the most frequent first.
    pub(crate) fn views(&self, run: Option<RunId>, emulator: Option<&str>) -> Result<Vec<BugView>, Failure> {
        let stored = self
            .store
            .call(async move |store| store.bugs("", run).await)
            .or_tell()?;
        let mut views = Vec::with_capacity(stored.len());
        for bug in stored {
            if let Some(bug) = self.of_engine(bug, emulator) {
                views.push(self.view(&bug)?.0);
            }
        }
        views.sort_by_key(|view| std::cmp::Reverse((view.blocks, view.runs)));
        Ok(views)
    }

    /// The bug whose id is or begins with `id`.
    pub(crate) fn find(&self, id: &str) -> Result<StoredBug, Failure> {
        let digits = id.to_owned();
        let valid = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = if valid {
            self.store
                .call(async move |store| store.bugs(&digits, None).await)
                .or_tell()?
        } else {
            Vec::new()
        };
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Failure::new(format!("there is no bug {id} in the database"))
                .hint("see `snippex bugs --all`")),
            _ => {
                let ids: Vec<String> = found.iter().map(|bug| bug.signature.id().to_string()).collect();
                Err(Failure::new(format!("{id} is the beginning of several bugs"))
                    .hint(format!("write more of one of {}", ids.join(", "))))
            }
        }
    }

    /// A bug with the example of its most recent engine.
    pub(crate) fn view(&self, bug: &StoredBug) -> Result<(BugView, Option<BugExample>), Failure> {
        let signature = bug.signature.clone();
        let examples = self
            .store
            .call(async move |store| store.bug_examples(&signature).await)
            .or_tell()?;
        // Of an engine that is asked for, the newest, and a reduced one if there is one.
        let asked = |example: &&BugExample| bug.sightings.iter().any(|seen| seen.engine == example.engine);
        let example = examples
            .iter()
            .filter(asked)
            .max_by_key(|example| (example.reduced, example.found))
            .cloned();
        let engines = self.seen_on(bug);
        let known = self.known_on(
            bug.signature.id(),
            engines.iter().map(|engine| engine.name.as_str()),
        );
        let differences = example
            .as_ref()
            .map(|example| self.differences(example))
            .unwrap_or_default();
        let decided = example
            .as_ref()
            .filter(|example| example.reduced)
            .and_then(|example| {
                Evidence::new(
                    &bug.signature,
                    &example.case,
                    &example.expected,
                    &example.actual,
                    &differences,
                )?
                .ruling()
            });
        let view = BugView {
            id: bug.signature.id().to_string(),
            kind: bug.signature.kind.name(),
            instruction: bug.signature.form.text.clone(),
            encoding: bug.signature.form.encoding.clone(),
            fields: bug.signature.fields.clone(),
            runs: bug.sightings.iter().map(|seen| seen.runs).sum(),
            blocks: bug.sightings.iter().map(|seen| seen.blocks).sum(),
            first_seen: bug.first_seen.0,
            engines,
            known: known.map(|known| KnownView {
                issue: known.issue.clone(),
                note: known.note.clone(),
            }),
            reduced: example.as_ref().is_some_and(|example| example.reduced),
            confirmations: example.as_ref().map_or(0, |example| example.confirmations),
            example: example
                .as_ref()
                .map(|example| self.text(example))
                .unwrap_or_default(),
            case: example
                .as_ref()
                .map(|example| CaseId::of(&example.case).to_string()),
            ruling: decided.map(|(ruling, _)| ruling),
            right: decided.map(|(_, side)| side),
            signature: bug.signature.clone(),
        };
        Ok((view, example))
    }

    /// What differs in an example.
    pub(crate) fn differences(&self, example: &BugExample) -> Vec<Difference> {
        let covered = |id: &EngineId| self.engines.get(id).map(|engine| engine.components);
        let (Some(reference), Some(subject)) = (covered(&example.reference), covered(&example.engine)) else {
            return Vec::new();
        };
        let tolerance = tolerance_of(&self.engines[&example.engine].name);
        let compared = snippex_core::diff::compare(
            &example.case,
            &example.expected,
            &example.actual,
            reference.intersection(subject),
            &tolerance,
        );
        match compared {
            snippex_core::diff::Comparison::Diverged(divergence) => divergence.differences,
            _ => Vec::new(),
        }
    }

    /// Engines whose name, version or configuration holds `text`, or whose number is `#text`.
    pub(crate) fn engines_like(&self, text: &str) -> Result<Vec<EngineId>, Failure> {
        let mut found: Vec<EngineId> = match text.strip_prefix('#').map(str::parse) {
            Some(Ok(number)) => vec![EngineId(number)],
            _ => self
                .engines
                .iter()
                .filter(|(_, engine)| {
                    [&engine.name, &engine.version, &engine.configuration]
                        .iter()
                        .any(|part| part.contains(text))
                })
                .map(|(id, _)| *id)
                .collect(),
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
            return Err(Failure::new(format!("no run was done on an engine like {text}"))
                .hint(format!("there are: {}", all.join("; "))));
        }
        Ok(found)
    }

    /// Name and version of an engine.
    pub(crate) fn engine_name(&self, id: EngineId) -> String {
        self.engines.get(&id).map_or_else(String::new, |engine| {
            format!("{} {}", engine.name, engine.version)
        })
    }

    pub(crate) fn known(&self) -> &[KnownBug] {
        &self.known
    }

    /// `bug` with its sightings on the engine called `emulator` only, if there are any.
    pub(crate) fn of_engine(&self, mut bug: StoredBug, emulator: Option<&str>) -> Option<StoredBug> {
        if let Some(name) = emulator {
            bug.sightings.retain(|seen| {
                self.engines
                    .get(&seen.engine)
                    .is_some_and(|engine| is_called(&engine.name, name))
            });
        }
        (emulator.is_none() || !bug.sightings.is_empty()).then_some(bug)
    }

    fn seen_on(&self, bug: &StoredBug) -> Vec<SeenOn> {
        let mut runs: BTreeMap<EngineId, u64> = BTreeMap::new();
        for seen in &bug.sightings {
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
    fn known_on<'e>(&self, id: SignatureId, engines: impl Iterator<Item = &'e str>) -> Option<&KnownBug> {
        let mut found = None;
        for name in engines {
            let entry = self.known.iter().find(|entry| {
                entry.signature == id && (entry.engine.is_empty() || is_called(name, &entry.engine))
            });
            found = Some(entry?);
        }
        found
    }

    fn text(&self, example: &BugExample) -> Vec<String> {
        // Of a case as it was met, that is long, a glimpse.
        let mut lines = self.disassembler.lines(&example.case.block);
        lines.truncate(3);
        lines
            .into_iter()
            .map(|line| line.text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }
}

/// Whether an engine is the one called `wanted`, or a configuration of it (`fex-emu:multiblock`).
fn is_called(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| {
        !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '-')
    })
}
