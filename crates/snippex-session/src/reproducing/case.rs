//! What is to be reproduced: a case with how it ends, from a file or from the database.

use std::path::{Path, PathBuf};

use snippex_core::case::Case;
use snippex_core::observation::Observation;
use snippex_core::state::Components;
use snippex_exec::engine::EngineTable;
use snippex_formats::snip::Snip;
use snippex_store::{DivergenceId, StoreError, StoreHandle, StoredEngine};
use snippex_triage::cause::CauseId;

use super::{ReproduceError, provenance};
use crate::{Bugs, Wanted};

/// Largest file that is read; a case with a thousand full pages is smaller.
const LARGEST: u64 = 64 << 20;

/// What is to be reproduced.
#[derive(Debug)]
pub struct ReproducedCase {
    /// Of the file, else empty.
    pub title: String,
    /// Of the file, or where the case comes from.
    pub notes: Vec<String>,
    /// What is run.
    pub case: Case,
    /// CPU features that the file asks for.
    pub needs: Vec<String>,
    /// Whether a file says all this, which is then kept as it is.
    pub is_file: bool,
    /// How it has to end, if somebody has said so.
    pub expected: Option<(Observation, Components)>,
    /// How it ended on an emulator, whose name and version these are.
    pub actual: Option<(Observation, Components, SideNames)>,
}

/// Names and versions of both sides.
#[derive(Clone, Debug)]
pub struct SideNames {
    /// The side that is right.
    pub expected: String,
    /// The other side.
    pub actual: String,
    /// Name of the emulator alone.
    pub actual_name: String,
}

/// Digits of the id of a bug: shorter numbers are those of divergences, longer ones begin the SHA-256 of a case.
const BUG_DIGITS: usize = 10;
/// Digits that name a case, when they begin the id of no bug.
const CASE_DIGITS: usize = 6;

impl SideNames {
    fn new(reference: &StoredEngine, engine: &StoredEngine) -> Self {
        Self {
            expected: format!("{} ({})", reference.name, reference.guest.brand),
            actual: format!("{} ({})", engine.name, engine.version),
            actual_name: engine.name.clone(),
        }
    }
}

/// A case as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseName {
    /// That of a divergence.
    Divergence(DivergenceId),
    /// The plainest of a bug, by its name or id, or any by its SHA-256.
    Stored(String),
    /// One in a file.
    File(PathBuf),
}

impl CaseName {
    /// What `text` names: a divergence by number, a bug by its id, a case by its SHA-256, or a file. A file that is
    /// there comes before bugs and cases.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let digits = is_hexadecimal(text);
        // A file has another ending than the name of a bug.
        let is_cause = !text.ends_with(".snip") && text.parse::<CauseId>().is_ok();
        match text.parse::<i64>() {
            Ok(number @ 1..) if text.len() < BUG_DIGITS => Self::Divergence(DivergenceId(number)),
            _ if (digits || is_cause) && !text.is_empty() && !Path::new(text).exists() => {
                Self::Stored(if digits {
                    text.to_ascii_lowercase()
                } else {
                    text.to_owned()
                })
            }
            _ => Self::File(text.into()),
        }
    }
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl ReproducedCase {
    /// What `name` names. A file needs no database. Of a bug it is the plainest case of those that `emulator`, an engine by its
    /// name, has shown, or of all when it has shown none.
    ///
    /// # Errors
    /// When there is no such case, or it cannot be read.
    pub fn load_by_name(
        name: &CaseName,
        table: &EngineTable,
        emulator: Option<&str>,
        store: impl FnOnce() -> Result<StoreHandle, StoreError>,
    ) -> Result<Self, ReproduceError> {
        match name {
            CaseName::File(path) => Self::file(path),
            CaseName::Divergence(id) => Self::divergence(&store()?, *id),
            CaseName::Stored(text) => Self::stored(&store()?, table, text, emulator),
        }
    }

    /// A bug by its id, or a case by its SHA-256.
    fn stored(
        store: &StoreHandle,
        table: &EngineTable,
        text: &str,
        emulator: Option<&str>,
    ) -> Result<Self, ReproduceError> {
        let digits = is_hexadecimal(text);
        let unknown = || ReproduceError::UnknownCase(text.to_owned());
        if digits && text.len() > BUG_DIGITS {
            return Self::case(store, table, text)?.ok_or_else(unknown);
        }
        match Self::bug(store, table, text, emulator) {
            Err(error) if digits && text.len() >= CASE_DIGITS => Self::case(store, table, text)?.ok_or(error),
            found => found,
        }
    }

    /// The case whose SHA-256 begins with `digits`: as it diverged last, or as the example of a bug, or as it stands.
    fn case(store: &StoreHandle, table: &EngineTable, digits: &str) -> Result<Option<Self>, ReproduceError> {
        let wanted = digits.to_owned();
        let found = store.call_and_wait(async move |store| store.cases_like(&wanted, 3).await)?;
        let id = match found[..] {
            [] => return Ok(None),
            [id] => id,
            _ => {
                let ids = found.iter().map(ToString::to_string).collect();
                return Err(ReproduceError::AmbiguousCase {
                    digits: digits.to_owned(),
                    cases: ids,
                });
            }
        };
        let (case, divergences, bugs) = store.call_and_wait(async move |store| {
            let case = store.find_case(id).await?;
            Ok((
                case,
                store.divergences_of_case(id).await?,
                store.bugs_of_case(id).await?,
            ))
        })?;
        if let Some(&divergence) = divergences.first() {
            return Self::divergence(store, divergence).map(Some);
        }
        if let Some(bug) = bugs.first() {
            return Self::bug(store, table, bug, None).map(Some);
        }
        Ok(case.map(|case| Self {
            title: String::new(),
            notes: vec![format!("Case {id} of snippex.")],
            case,
            needs: Vec::new(),
            is_file: false,
            expected: None,
            actual: None,
        }))
    }

    /// The plainest case of a bug, of those that `emulator` has shown if it has shown any.
    fn bug(
        store: &StoreHandle,
        table: &EngineTable,
        id: &str,
        emulator: Option<&str>,
    ) -> Result<Self, ReproduceError> {
        let (bugs, name) = Bugs::load_one_bug(store, table, id)?;
        let mut stored = bugs.of_name(&name, Wanted { run: None, emulator })?;
        if stored.is_empty() {
            stored = bugs.of_name(&name, Wanted::default())?;
        }
        let best = bugs.best_example(&stored.iter().collect::<Vec<_>>())?;
        let (_, example) = best.ok_or_else(|| ReproduceError::NoExample(id.to_owned()))?;
        let (reference, engine, place) = (example.reference, example.engine, example.block);
        let sightings = stored.iter().flat_map(|bug| &bug.sightings);
        let run = sightings
            .filter(|seen| seen.engine == engine)
            .map(|seen| seen.run)
            .max();
        let (reference, engine, place, host) = store.call_and_wait(async move |store| {
            let place = match place {
                Some(number) => {
                    let block = store.load_block(number).await?;
                    let binary = store.load_binary(block.binary).await?;
                    Some((block, binary))
                }
                None => None,
            };
            let host = match run {
                Some(run) => Some(store.load_host(store.load_run(run).await?.run.host).await?),
                None => None,
            };
            Ok((
                store.load_engine(reference).await?,
                store.load_engine(engine).await?,
                place,
                host,
            ))
        })?;
        let covered = reference.components.intersection(engine.components);
        let mut notes = vec![format!("Bug {name} of snippex.")];
        if let Some((block, binary)) = place {
            notes.push(format!(
                "Met first in: {}",
                provenance::describe_block_location(&block, &binary)
            ));
        }
        notes.extend(host.as_ref().map(provenance::describe_host));
        for seen in bugs.seen_on(&stored) {
            notes.push(provenance::describe_engine(
                &seen.name,
                &seen.version,
                &seen.configuration,
            ));
        }
        let pattern = stored.first().and_then(|bug| bug.attribution.cause.pattern());
        if let Some(pattern) = pattern {
            notes.push(format!("{} ({}).", pattern.what, pattern.reference));
        }
        let engines = SideNames::new(&reference, &engine);
        Ok(Self {
            title: String::new(),
            notes,
            case: example.case,
            needs: Vec::new(),
            is_file: false,
            expected: Some((example.expected, reference.components)),
            actual: Some((example.actual, covered, engines)),
        })
    }

    fn file(path: &Path) -> Result<Self, ReproduceError> {
        let named = || path.to_owned();
        let metadata = std::fs::metadata(path);
        let size = metadata
            .map_err(|source| ReproduceError::NoFile {
                path: named(),
                source,
            })?
            .len();
        if size > LARGEST {
            return Err(ReproduceError::TooLarge { path: named(), size });
        }
        let text = std::fs::read_to_string(path).map_err(|source| ReproduceError::Read {
            path: named(),
            source,
        })?;
        let snip = Snip::parse(&text).map_err(|source| ReproduceError::Snip {
            path: named(),
            source,
        })?;
        Ok(Self {
            title: snip.title,
            notes: snip.notes,
            case: snip.case,
            needs: snip.needs,
            is_file: true,
            expected: snip.end.map(|end| (end.observation, end.covered)),
            actual: None,
        })
    }

    fn divergence(store: &StoreHandle, id: DivergenceId) -> Result<Self, ReproduceError> {
        let (found, run, block, binary, reference, engine, host) =
            store.call_and_wait(async move |store| {
                let found = store.load_divergence(id).await?;
                let run = store.load_run(found.summary.run).await?;
                let block = store.load_block(found.summary.block).await?;
                let binary = store.load_binary(block.binary).await?;
                let reference = store.load_engine(found.summary.reference).await?;
                let engine = store.load_engine(found.summary.engine).await?;
                let host = store.load_host(run.run.host).await?;
                Ok((found, run, block, binary, reference, engine, host))
            })?;
        let covered = reference.components.intersection(engine.components);
        let configuration: Vec<String> = serde_json::from_str(&engine.configuration).unwrap_or_default();
        let notes = vec![
            provenance::describe_block_location(&block, &binary),
            format!(
                "Start state {} of seed {}; case {}.",
                found.summary.state_index, run.run.seed, found.summary.case_id
            ),
            provenance::describe_host(&host),
            provenance::describe_engine(&engine.name, &engine.version, &configuration),
        ];
        let engines = SideNames::new(&reference, &engine);
        Ok(Self {
            title: String::new(),
            notes,
            case: found.case,
            needs: Vec::new(),
            is_file: false,
            expected: Some((found.expected, reference.components)),
            actual: Some((found.actual, covered, engines)),
        })
    }
}
