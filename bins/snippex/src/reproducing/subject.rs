//! What is to be reproduced: a case with how it ends, from a file or from the database.

use std::path::Path;

use cli_kit::{Failure, OrFail};
use snippex_core::case::Case;
use snippex_core::observation::Observation;
use snippex_core::state::Components;
use snippex_formats::snip::Snip;
use snippex_store::DivergenceId;
use snippex_triage::cause::CauseId;

use super::provenance;
use crate::app::App;
use crate::tell::OrTell;
use snippex_session::{Bugs, Wanted};

/// Largest file that is read; a case with a thousand full pages is smaller.
const LARGEST: u64 = 64 << 20;

/// What is to be reproduced.
pub(crate) struct Subject {
    /// Of the file, else empty.
    pub(crate) title: String,
    /// Of the file, or where the case comes from.
    pub(crate) notes: Vec<String>,
    pub(crate) case: Case,
    /// CPU features that the file asks for.
    pub(crate) needs: Vec<String>,
    /// Whether a file says all this, which is then kept as it is.
    pub(crate) is_file: bool,
    /// How it has to end, if somebody has said so.
    pub(crate) expected: Option<(Observation, Components)>,
    /// How it ended on an emulator, whose name and version these are.
    pub(crate) actual: Option<(Observation, Components, Engines)>,
}

/// Names and versions of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Engines {
    pub(crate) expected: String,
    pub(crate) actual: String,
    /// Name of the emulator alone.
    pub(crate) actual_name: String,
}

/// Digits of the id of a bug: shorter numbers are those of divergences, longer ones begin the SHA-256 of a case.
const BUG_DIGITS: usize = 10;
/// Digits that name a case, when they begin the id of no bug.
const CASE_DIGITS: usize = 6;

impl Subject {
    /// What `text` names: a divergence by number, a bug by its id, a case by its SHA-256, or a file.
    pub(crate) fn load(app: &App<'_>, text: &str) -> Result<Self, Failure> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        // A file has another ending than the name of a bug.
        let is_cause = !text.ends_with(".snip") && text.parse::<CauseId>().is_ok();
        match text.parse::<i64>() {
            Ok(number @ 1..) if text.len() < BUG_DIGITS => Self::divergence(app, DivergenceId(number)),
            _ if (digits || is_cause) && !text.is_empty() && !Path::new(text).exists() => {
                let text = if digits {
                    text.to_ascii_lowercase()
                } else {
                    text.to_owned()
                };
                if digits && text.len() > BUG_DIGITS {
                    return Self::case(app, &text)?.ok_or_else(|| unknown(&text));
                }
                match Self::bug(app, &text) {
                    Err(failure) if digits && text.len() >= CASE_DIGITS => {
                        Self::case(app, &text)?.ok_or(failure)
                    }
                    found => found,
                }
            }
            _ => Self::file(Path::new(text)),
        }
    }

    /// The case whose SHA-256 begins with `digits`: as it diverged last, or as the example of a bug, or as it stands.
    fn case(app: &App<'_>, digits: &str) -> Result<Option<Self>, Failure> {
        let store = app.existing_store()?;
        let wanted = digits.to_owned();
        let found = store
            .call(async move |store| store.cases_like(&wanted, 3).await)
            .or_tell()?;
        let id = match found[..] {
            [] => return Ok(None),
            [id] => id,
            _ => {
                let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
                return Err(
                    Failure::new(format!("{digits} is the beginning of several cases' SHA-256"))
                        .hint(format!("write more of one of {}", ids.join(", "))),
                );
            }
        };
        let (case, divergences, bugs) = store
            .call(async move |store| {
                let case = store.case(id).await?;
                Ok((
                    case,
                    store.divergences_of_case(id).await?,
                    store.bugs_of_case(id).await?,
                ))
            })
            .or_tell()?;
        if let Some(&divergence) = divergences.first() {
            return Self::divergence(app, divergence).map(Some);
        }
        if let Some(bug) = bugs.first() {
            return Self::bug(app, bug).map(Some);
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

    /// The plainest case of a bug.
    fn bug(app: &App<'_>, id: &str) -> Result<Self, Failure> {
        let store = app.existing_store()?;
        let bugs = Bugs::read(&store, &app.engines).or_tell()?;
        let name = bugs.find(id).or_tell()?;
        let stored = bugs.of_name(&name, Wanted::default()).or_tell()?;
        let best = bugs.best(&stored.iter().collect::<Vec<_>>()).or_tell()?;
        let (_, example) = best.ok_or_else(|| {
            Failure::new(format!("bug {id} has no case in the database"))
                .hint("run the check again, without --no-reduce")
        })?;
        let (reference, engine, place) = (example.reference, example.engine, example.block);
        let sightings = stored.iter().flat_map(|bug| &bug.sightings);
        let run = sightings
            .filter(|seen| seen.engine == engine)
            .map(|seen| seen.run)
            .max();
        let (reference, engine, place, host) = store
            .call(async move |store| {
                let place = match place {
                    Some(number) => {
                        let block = store.block(number).await?;
                        let binary = store.binary(block.binary).await?;
                        Some((block, binary))
                    }
                    None => None,
                };
                let host = match run {
                    Some(run) => Some(store.host(store.run(run).await?.run.host).await?),
                    None => None,
                };
                Ok((
                    store.engine(reference).await?,
                    store.engine(engine).await?,
                    place,
                    host,
                ))
            })
            .or_tell()?;
        let covered = reference.components.intersection(engine.components);
        let mut notes = vec![format!("Bug {name} of snippex.")];
        if let Some((block, binary)) = place {
            notes.push(format!("Met first in: {}", provenance::place(&block, &binary)));
        }
        notes.extend(host.as_ref().map(provenance::machine));
        for seen in bugs.seen_on(&stored) {
            notes.push(provenance::engine(&seen.name, &seen.version, &seen.configuration));
        }
        let ruling = stored.first().and_then(|bug| bug.share.cause.ruling());
        if let Some(ruling) = ruling {
            notes.push(format!("{} ({}).", ruling.what, ruling.reference));
        }
        let engines = Engines {
            expected: format!("{} ({})", reference.name, reference.guest.brand),
            actual: format!("{} ({})", engine.name, engine.version),
            actual_name: engine.name,
        };
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

    fn file(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let hint = "name a .snip file, the id of a bug (snippex bugs), the number of a divergence, or the SHA-256 of a case";
        let size = std::fs::metadata(path)
            .or_fail_with(|| format!("cannot read {shown}"))
            .map_err(|failure| failure.hint(hint))?
            .len();
        if size > LARGEST {
            return Err(Failure::new(format!("{shown} has {size} bytes: that is no .snip file")).hint(hint));
        }
        let text = std::fs::read_to_string(path).or_fail_with(|| format!("cannot read {shown}"))?;
        let snip = Snip::parse(&text)
            .or_fail_with(|| format!("cannot read {shown}"))
            .map_err(|failure| {
                failure.hint("correct that line; `cargo doc` of snippex_formats::snip describes the form")
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

    fn divergence(app: &App<'_>, id: DivergenceId) -> Result<Self, Failure> {
        let store = app.existing_store()?;
        let (found, run, block, binary, reference, engine, host) = store
            .call(async move |store| {
                let found = store.divergence(id).await?;
                let run = store.run(found.summary.run).await?;
                let block = store.block(found.summary.block).await?;
                let binary = store.binary(block.binary).await?;
                let reference = store.engine(found.summary.reference).await?;
                let engine = store.engine(found.summary.engine).await?;
                let host = store.host(run.run.host).await?;
                Ok((found, run, block, binary, reference, engine, host))
            })
            .or_tell()?;
        let covered = reference.components.intersection(engine.components);
        let configuration: Vec<String> = serde_json::from_str(&engine.configuration).unwrap_or_default();
        let notes = vec![
            provenance::place(&block, &binary),
            format!(
                "Start state {} of seed {}; case {}.",
                found.summary.state_index, run.run.seed, found.summary.case_id
            ),
            provenance::machine(&host),
            provenance::engine(&engine.name, &engine.version, &configuration),
        ];
        let engines = Engines {
            expected: format!("{} ({})", reference.name, reference.guest.brand),
            actual: format!("{} ({})", engine.name, engine.version),
            actual_name: engine.name,
        };
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

fn unknown(digits: &str) -> Failure {
    Failure::new(format!("there is no case with the SHA-256 {digits} in the database"))
        .hint("write at least six digits of it, as `snippex compare` and `snippex bugs show` give them, or name a .snip file")
}
