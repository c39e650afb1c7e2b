//! What stands in the database, as the data of a report.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use iced_x86::Code;
use snippex_core::words::difference_sentence;
use snippex_formats::snip::Snip;
use snippex_report::bugs::{BugView, SeenOn};
use snippex_report::data_table::wilson_interval;
use snippex_report::report::{
    CheckFigures, EngineFigures, EngineRuns, MODEL_VERSION, NamedCount, ProgramFigures, ReportBug,
    ReportExample, ReportFinding, ReportModel, ReportTotals,
};
use snippex_session::{Bugs, Grouping, SessionError, Wanted, failure_modes, group_runs, is_called};
use snippex_store::{Binary, BugExample, StoreHandle, StoredBug, SummedRun, UnixMillis};
use snippex_triage::reduce::CONFIRMATIONS;

use crate::app::App;
use crate::bug_views::{bug_views, example_view};
use crate::hints::OrUserError;
use crate::stored_scope::require_stored;
use cli_kit::Failure;
use snippex_report::disassembly::{Disassembler, Syntax};

/// Longest example that a finding shows, in instructions.
const MAX_CODE: usize = 8;
/// Sentences about what differs in a finding.
const MAX_SENTENCES: usize = 6;

/// What a report is about.
#[derive(Debug, Default)]
pub(crate) struct ReportScope<'s> {
    /// Only this run.
    pub(crate) run: Option<snippex_store::RunId>,
    /// Only this engine, or its configurations.
    pub(crate) emulator: Option<&'s str>,
    /// The newest checks, at most.
    pub(crate) checks: u32,
    /// Findings, at most.
    pub(crate) findings: usize,
    /// In place of the usual title.
    pub(crate) title: Option<&'s str>,
}

/// The report on what `scope` says of the database.
pub(crate) fn report_model(
    app: &App<'_>,
    store: &StoreHandle,
    scope: &ReportScope<'_>,
) -> Result<ReportModel, Failure> {
    require_stored(store, scope.run, scope.emulator)?;
    let limit = if scope.run.is_some() {
        u32::MAX
    } else {
        scope.checks
    };
    let mut runs = store
        .call_and_wait(async move |store| store.summed_runs(limit).await)
        .or_user_error()?;
    runs.retain(|run| scope.run.is_none_or(|wanted| wanted == run.run));
    runs.retain(|run| scope.emulator.is_none_or(|wanted| is_called(&run.engine, wanted)));
    let wanted = Wanted {
        run: scope.run,
        emulator: scope.emulator,
    };
    let bugs = Bugs::load_from_store(store, &app.engines).or_user_error()?;
    let stored = bugs.load_stored_bugs(wanted).or_user_error()?;
    let listed = bugs.group_by_cause(&stored).or_user_error()?;
    let mut views = bug_views(&listed).or_user_error()?;
    views.sort_by_key(|bug| bug.known.is_some());
    let examples: HashMap<String, BugExample> = listed
        .into_iter()
        .filter_map(|bug| Some((bug.cause.to_string(), bug.example?.1)))
        .collect();
    let findings = findings(&bugs, &stored, scope.findings).or_user_error()?;
    let binaries = store
        .call_and_wait(async |store| store.list_binaries().await)
        .or_user_error()?;
    let mut report = figures(&runs);
    report.programs = program_figures(&runs, &binaries);
    report.bugs = views
        .iter()
        .map(|view| report_bug(view, &bugs, &examples))
        .collect();
    report.totals.known_bugs = views.iter().filter(|bug| bug.known.is_some()).count() as u64;
    report.totals.new_bugs = views.len() as u64 - report.totals.known_bugs;
    report.extensions = by_extension(&stored);
    report.findings = findings;
    report.title = scope.title.map_or_else(|| usual_title(scope), str::to_owned);
    Ok(report)
}

fn usual_title(scope: &ReportScope<'_>) -> String {
    let mut title = "What differs from the reference".to_owned();
    if let Some(engine) = scope.emulator {
        let _ = write!(title, " on {engine}");
    }
    if let Some(run) = scope.run {
        let _ = write!(title, ", run {run}");
    }
    title
}

/// All but bugs and findings.
fn figures(runs: &[SummedRun]) -> ReportModel {
    let mut totals = ReportTotals::default();
    for run in runs {
        totals.checks += 1;
        totals.blocks += run.summary.blocks;
        totals.diverging_blocks += run.summary.diverging_blocks;
        totals.runs += run.summary.runs;
        totals.diverged += run.summary.diverged;
        totals.inconclusive += run.summary.inconclusive;
        totals.unsupported += run.summary.unsupported;
    }
    let modes = failure_modes(runs);
    ReportModel {
        version: MODEL_VERSION,
        made_by: format!("snippex {}", env!("CARGO_PKG_VERSION")),
        newest_check: runs
            .first()
            .map_or_else(String::new, |run| run.started.to_string()),
        totals,
        engines: engine_figures(runs),
        kinds: counted(&modes, "diverged"),
        inconclusive: counted(&modes, "inconclusive"),
        checks: runs.iter().rev().map(check_figures).collect(),
        ..ReportModel::default()
    }
}

fn engine_figures(runs: &[SummedRun]) -> Vec<EngineFigures> {
    group_runs(runs, Grouping::Engine)
        .into_iter()
        .map(|((name, version), group)| {
            let (least, most) = wilson_interval(group.passing_blocks(), group.counts.blocks);
            EngineFigures {
                name,
                version,
                checks: group.checks,
                blocks: group.counts.blocks,
                diverging_blocks: group.counts.diverging_blocks,
                success: share(group.passing_blocks(), group.counts.blocks),
                success_least: least,
                success_most: most,
                runs: group.counts.runs,
                diverged: group.counts.diverged,
                runs_per_second: group.runs_per_second(),
            }
        })
        .collect()
}

/// The programs of checks, those with the most diverging blocks first.
fn program_figures(runs: &[SummedRun], binaries: &[Binary]) -> Vec<ProgramFigures> {
    let mut places: HashMap<&str, Vec<String>> = HashMap::new();
    for stored in binaries
        .iter()
        .filter(|stored| stored.binary.path != stored.binary.name)
    {
        let found = places.entry(&stored.binary.name).or_default();
        found.push(stored.binary.path.clone());
    }
    let mut programs: Vec<ProgramFigures> = group_runs(runs, Grouping::Binary)
        .into_iter()
        .map(|((name, _), group)| ProgramFigures {
            places: places.remove(name.as_str()).unwrap_or_default(),
            name,
            blocks: group.counts.blocks,
            diverging_blocks: group.counts.diverging_blocks,
            success: share(group.passing_blocks(), group.counts.blocks),
            runs: group.counts.runs,
            diverged: group.counts.diverged,
        })
        .collect();
    programs.sort_by_key(|program| std::cmp::Reverse(program.diverging_blocks));
    programs
}

/// A share from 0 to 1; of nothing it is all.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

type Modes = BTreeMap<(&'static str, String), (u64, u64)>;

fn counted(modes: &Modes, what: &str) -> Vec<NamedCount> {
    let of_kind = modes.iter().filter(|((kind, _), _)| *kind == what);
    let mut counts: Vec<NamedCount> = of_kind
        .map(|((_, name), (blocks, runs))| NamedCount {
            name: name.clone(),
            blocks: (*blocks > 0).then_some(*blocks),
            runs: *runs,
        })
        .collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.runs));
    counts
}

fn check_figures(run: &SummedRun) -> CheckFigures {
    let summary = &run.summary;
    CheckFigures {
        run: run.run.0,
        started: run.started.to_string(),
        engine: run.engine.clone(),
        engine_version: run.version.clone(),
        reference: run.reference.clone(),
        complete: run.finished,
        blocks: summary.blocks,
        diverging_blocks: summary.diverging_blocks,
        success: share(
            summary.blocks.saturating_sub(summary.diverging_blocks),
            summary.blocks,
        ),
        runs: summary.runs,
        seconds: summary.elapsed.as_secs_f64(),
        seed: run.seed,
        states: run.states,
    }
}

fn report_bug(view: &BugView, bugs: &Bugs<'_>, examples: &HashMap<String, BugExample>) -> ReportBug {
    let id = view.id.to_string();
    let example = examples.get(&id);
    ReportBug {
        title: view.title.clone(),
        manual: view.pattern.map(|pattern| pattern.what.to_owned()),
        reference: view.pattern.map(|pattern| pattern.reference.to_owned()),
        status: status(view.known.is_some()),
        issue: view.known.as_ref().map(|known| known.issue.clone()),
        certainty: match &view.example {
            Some(example) => certainty(example.reduced, example.confirmations),
            None => "no case".to_owned(),
        },
        runs: view.runs,
        signatures: view.signatures as u64,
        forms: view.forms as u64,
        first_seen: UnixMillis(view.first_seen).to_string(),
        engines: view.engines.iter().map(engine_runs).collect(),
        example: view
            .example
            .as_ref()
            .zip(example)
            .map(|(view_of, example)| ReportExample {
                code: view_of.code.clone(),
                bytes: view_of.bytes.clone(),
                state: view_of.state.clone(),
                differences: sentences(bugs, example, usize::MAX),
                case: view_of.case.clone(),
                snip: snip_text(example, &view.title),
            }),
        id,
    }
}

fn snip_text(example: &BugExample, title: &str) -> String {
    let mut snip = Snip::from_case(example.case.clone());
    snip.title = title.to_owned();
    snip.render_text()
}

fn status(is_known: bool) -> String {
    if is_known { "known" } else { "new" }.to_owned()
}

fn certainty(reduced: bool, confirmations: u32) -> String {
    match (reduced, confirmations) {
        (false, _) => "not reduced",
        (true, CONFIRMATIONS) => "confirmed",
        (true, _) => "flaky",
    }
    .to_owned()
}

fn engine_runs(seen: &SeenOn) -> EngineRuns {
    EngineRuns {
        name: seen.name.clone(),
        version: seen.version.clone(),
        configuration: seen.configuration.clone(),
        runs: seen.runs,
    }
}

fn sentences(bugs: &Bugs<'_>, example: &BugExample, limit: usize) -> Vec<String> {
    let differences = bugs.example_differences(example);
    differences.iter().take(limit).map(difference_sentence).collect()
}

/// The findings with the most runs, at most `limit`.
fn findings(bugs: &Bugs<'_>, stored: &[StoredBug], limit: usize) -> Result<Vec<ReportFinding>, SessionError> {
    let mut listed: Vec<_> = stored.iter().map(|bug| (bug, bugs.of_signature(bug))).collect();
    listed.sort_by(|(_, a), (_, b)| {
        let key = |finding: &snippex_session::ListedSignature| {
            (std::cmp::Reverse(finding.runs), finding.signature.id())
        };
        key(a).cmp(&key(b))
    });
    let extensions = ExtensionNames::new();
    let disassembler = Disassembler::new(Syntax::Intel).ok();
    listed
        .into_iter()
        .take(limit)
        .map(|(bug, finding)| {
            let example = bugs.best_example(&[bug])?;
            let example = example.as_ref().map(|(_, example)| example);
            let signature = &finding.signature;
            let code = example.zip(disassembler.as_ref()).map(|(example, disassembler)| {
                let mut code = example_view(signature, example, disassembler).code;
                code.truncate(MAX_CODE);
                code
            });
            Ok(ReportFinding {
                id: signature.id().to_string(),
                bug: finding.bug.to_string(),
                kind: signature.kind.name().to_owned(),
                instruction: signature.form.to_string(),
                encoding: signature.form.encoding.clone(),
                extension: extensions.of(&signature.form.encoding),
                fields: signature.fields.clone(),
                status: status(finding.known.is_some()),
                certainty: certainty(finding.reduced, finding.confirmations),
                runs: finding.runs,
                blocks: finding.blocks,
                engines: finding
                    .engines
                    .iter()
                    .map(|engine| format!("{} {}", engine.name, engine.version))
                    .collect(),
                differences: example
                    .map(|example| sentences(bugs, example, MAX_SENTENCES))
                    .unwrap_or_default(),
                code: code.unwrap_or_default(),
            })
        })
        .collect()
}

fn by_extension(stored: &[StoredBug]) -> Vec<NamedCount> {
    let names = ExtensionNames::new();
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for bug in stored {
        let count = counts
            .entry(names.of(&bug.attribution.signature.form.encoding))
            .or_default();
        for seen in &bug.sightings {
            *count = (count.0 + seen.blocks, count.1 + seen.runs);
        }
    }
    let mut counts: Vec<NamedCount> = counts
        .into_iter()
        .map(|(name, (blocks, runs))| NamedCount {
            name,
            blocks: Some(blocks),
            runs,
        })
        .collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.runs));
    counts
}

/// Which instruction-set extension an encoding is of, by the decoder's tables.
struct ExtensionNames(HashMap<String, Code>);

impl ExtensionNames {
    fn new() -> Self {
        Self(Code::values().map(|code| (format!("{code:?}"), code)).collect())
    }

    /// Of an encoding as signatures name it: `Addss_xmm_xmmm32+rep`.
    fn of(&self, encoding: &str) -> String {
        let name = encoding.split('+').next().unwrap_or_default();
        let features = self.0.get(name).map_or(&[][..], |code| code.cpuid_features());
        let names: Vec<String> = features
            .iter()
            .map(|feature| format!("{feature:?}").to_lowercase())
            .collect();
        if names.is_empty() {
            "unknown".to_owned()
        } else {
            names.join("+")
        }
    }
}
