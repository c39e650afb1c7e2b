//! What is to be reproduced: a case with how it ends, from a file or from the database.

use std::path::Path;

use cli_kit::{Failure, OrFail};
use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Divergence, compare};
use snippex_core::group::Group;
use snippex_core::observation::Observation;
use snippex_core::snip::Snip;
use snippex_core::state::Components;
use snippex_exec::Outcome;
use snippex_exec::engine::{Engine, EngineIdentity};
use snippex_store::DivergenceId;

use crate::app::App;
use crate::bugs::Bugs;
use crate::engines::{EngineChoice, tolerance_of};
use crate::tell::OrTell;

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

/// A case with its right end and, where an emulator was asked, what it does otherwise.
pub(crate) struct Judged {
    pub(crate) expected: Observation,
    pub(crate) covered: Components,
    /// Which CPU says so; `None` when a file does.
    pub(crate) cpu: Option<String>,
    /// The emulator, and how it differs.
    pub(crate) divergence: Option<(String, Divergence)>,
}

/// Digits of the id of a bug: shorter numbers are those of divergences.
const BUG_DIGITS: usize = 10;

impl Subject {
    /// What `text` names: a number of a divergence, or a file.
    pub(crate) fn load(app: &App<'_>, text: &str) -> Result<Self, Failure> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.parse::<i64>() {
            Ok(number @ 1..) if text.len() < BUG_DIGITS => Self::divergence(app, DivergenceId(number)),
            _ if digits && !Path::new(text).exists() => Self::bug(app, text),
            _ => Self::file(Path::new(text)),
        }
    }

    /// The plainest case of a bug.
    fn bug(app: &App<'_>, id: &str) -> Result<Self, Failure> {
        let store = app.existing_store()?;
        let bugs = Bugs::read(&store)?;
        let stored = bugs.find(id)?;
        let (view, example) = bugs.view(&stored)?;
        let example = example.ok_or_else(|| {
            Failure::new(format!("bug {id} has no case in the database"))
                .hint("run the check again, without --no-reduce")
        })?;
        let (reference, engine) = (example.reference, example.engine);
        let (reference, engine) = store
            .call(async move |store| Ok((store.engine(reference).await?, store.engine(engine).await?)))
            .or_tell()?;
        let covered = reference.components.intersection(engine.components);
        let mut notes = vec![format!("Bug {} of snippex.", view.id)];
        if let Some(ruling) = view.ruling {
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
        let hint = "name a .snip file, the id of a bug (snippex bugs), or the number of a divergence";
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
                failure.hint("correct that line; `cargo doc` of snippex_core::snip describes the form")
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
        let (found, run, block, binary, reference, engine) = store
            .call(async move |store| {
                let found = store.divergence(id).await?;
                let run = store.run(found.summary.run).await?;
                let block = store.block(found.summary.block).await?;
                let binary = store.binary(block.binary).await?;
                let reference = store.engine(found.summary.reference).await?;
                let engine = store.engine(found.summary.engine).await?;
                Ok((found, run, block, binary, reference, engine))
            })
            .or_tell()?;
        let covered = reference.components.intersection(engine.components);
        let notes = vec![format!(
            "Block at {:#x} of {} (SHA-256 {}), start state {} of seed {}.",
            block.block.address, binary.binary.path, binary.id, found.summary.state_index, run.run.seed
        )];
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

    /// Finds out how the case ends: from the file or the database, else on this CPU; and on `emulator`, if one is named.
    pub(crate) fn judge(&self, emulator: Option<&EngineChoice>) -> Result<Judged, Failure> {
        let (expected, covered, cpu) = match &self.expected {
            Some((expected, covered)) => {
                let cpu = self
                    .actual
                    .as_ref()
                    .map(|(_, _, engines)| engines.expected.clone());
                (expected.clone(), *covered, cpu)
            }
            None => {
                let (expected, identity) = run(&EngineChoice::preset("native")?, &self.case)?;
                (
                    expected,
                    identity.components,
                    Some(format!("native ({})", identity.cpu.brand)),
                )
            }
        };
        let (actual, both, name, shown) = match (emulator, &self.actual) {
            (Some(choice), _) => {
                let (actual, identity) = run(choice, &self.case)?;
                let both = covered.intersection(identity.components);
                (actual, both, identity.name.clone(), identity.describe())
            }
            (None, Some((actual, both, engines))) => (
                actual.clone(),
                *both,
                engines.actual_name.clone(),
                engines.actual.clone(),
            ),
            (None, None) => {
                return Ok(Judged {
                    expected,
                    covered,
                    cpu,
                    divergence: None,
                });
            }
        };
        match compare(&self.case, &expected, &actual, both, &tolerance_of(&name)) {
            Comparison::Diverged(divergence) => Ok(Judged {
                expected,
                covered,
                cpu,
                divergence: Some((shown, divergence)),
            }),
            Comparison::Match(_) => Err(Failure::new(format!(
                "the case ends on {shown} as it has to: there is no bug to reproduce"
            ))
            .hint("leave --emulator out for a program that compares all that the case changes")),
            Comparison::Inconclusive(_) => Err(Failure::new(format!(
                "how the case ends on {shown} is no bug by the manuals, or cannot be judged"
            ))
            .hint("leave --emulator out for a program that compares all that the case changes")),
        }
    }
}

/// Runs a case once.
fn run(choice: &EngineChoice, case: &Case) -> Result<(Observation, EngineIdentity), Failure> {
    let mut engine: Box<dyn Engine> = choice.start().or_tell()?;
    let identity = engine.identity().clone();
    let groups = [Group::of(case)];
    match engine.run(&groups).or_tell()?.outcome(0, 0) {
        Outcome::Ran(observation) => Ok((*observation, identity)),
        Outcome::Unsupported(reason) => Err(Failure::new(format!(
            "{} cannot run the case: {reason}",
            identity.name
        ))),
    }
}
