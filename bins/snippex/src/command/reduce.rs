//! `snippex reduce`: the plainest case that still shows a divergence.

use std::time::Duration;

use cli_kit::style::HEADING;
use cli_kit::{ExitStatus, Failure, Format, OrFail};
use serde_json::json;
use snippex_core::case::Case;
use snippex_core::diff::InconclusiveReason;
use snippex_exec::engine::Engine;
use snippex_exec::reduce::{Bug, CONFIRMATIONS, Reduced, ReductionLimits, reduce_case};
use snippex_formats::snip::Snip;
use snippex_store::{BlockBatch, BlockNumber, DivergenceId, NewSighting, RunId, StoreHandle};

use crate::app::App;
use crate::args::ReduceArgs;
use crate::engines::subject_engine;
use crate::hints::OrUserError;
use snippex_core::words::difference_sentence;
use snippex_report::format_count;
use snippex_session::{engine_record, new_bug};

/// What is reduced.
struct CaseToReduce {
    name: String,
    case: Case,
    /// Where a stored divergence is from.
    stored: Option<Stored>,
}

struct Stored {
    run: RunId,
    block: BlockNumber,
    /// Name and version of the engine that showed it.
    engine: String,
    version: String,
}

pub(crate) fn run(app: &App<'_>, args: &ReduceArgs) -> Result<ExitStatus, Failure> {
    app.tidy_up_when_killed()?;
    let mut found = false;
    let mut failed = Vec::new();
    for name in &args.targets {
        match one(app, args, name) {
            Ok(bugs) => found |= bugs,
            Err(failure) => failed.push(failure),
        }
    }
    // What cannot be reduced is told; the rest was done.
    let Some(last) = failed.pop() else {
        return Ok(ExitStatus::from_found(found));
    };
    for failure in &failed {
        app.printer.print_failure(failure);
    }
    Err(last)
}

fn one(app: &App<'_>, args: &ReduceArgs, name: &str) -> Result<bool, Failure> {
    let (target, store) = read(app, name)?;
    let choice = match &target.stored {
        // Without a word about it, the engine that showed it.
        Some(stored) if args.engine.emulator.is_empty() && args.engine.engine_command.is_none() => app
            .engine_names()
            .choose_engine(&stored.engine)
            .or_user_error()
            .map_err(|failure| {
                failure.hint(format!(
                    "divergence {name} was found on {}: give the engine with --emulator or --engine-command",
                    stored.engine
                ))
            })?,
        _ => subject_engine(app, &args.engine)?,
    };
    let mut subject = choice.start_engine().or_user_error()?;
    let mut reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
        .or_user_error()?
        .start_engine()
        .or_user_error()?;
    let tolerance = app.engines.tolerance(&subject.identity().name);
    let limits = ReductionLimits {
        time: Duration::from_secs(args.seconds),
    };
    let reduced = reduce_case(
        &target.case,
        reference.as_mut(),
        subject.as_mut(),
        &tolerance,
        limits,
    )
    .or_user_error()?;
    let bugs = match reduced {
        Reduced::Bugs(bugs) => bugs,
        other => return Err(refused(&target, subject.as_ref(), other)),
    };
    if let (Some(store), Some(stored)) = (&store, &target.stored) {
        save(store, stored, reference.as_ref(), subject.as_ref(), &bugs)?;
    }
    bugs.iter().try_for_each(|bug| print(app, bug))?;
    Ok(true)
}

/// A stored divergence by number, or a file.
fn read(app: &App<'_>, name: &str) -> Result<(CaseToReduce, Option<StoreHandle>), Failure> {
    if let Ok(number @ 1..) = name.parse::<i64>() {
        let store = app.existing_store()?;
        let (found, engine) = store
            .call_and_wait(async move |store| {
                let found = store.load_divergence(DivergenceId(number)).await?;
                let engine = store.load_engine(found.summary.engine).await?;
                Ok((found, engine))
            })
            .or_user_error()?;
        let stored = Stored {
            run: found.summary.run,
            block: found.summary.block,
            engine: engine.name,
            version: engine.version,
        };
        let target = CaseToReduce {
            name: format!("divergence {number}"),
            case: found.case,
            stored: Some(stored),
        };
        return Ok((target, Some(store)));
    }
    let hint = "name a divergence by its number (see `snippex list --divergences`) or a .snip file";
    let text = std::fs::read_to_string(name)
        .or_fail_with(|| format!("cannot read {name}"))
        .map_err(|failure| failure.hint(hint))?;
    let snip = Snip::parse(&text)
        .or_fail_with(|| format!("{name} is not a case"))
        .map_err(|failure| failure.hint("correct that line; docs/snip.md describes the form"))?;
    let target = CaseToReduce {
        name: name.to_owned(),
        case: snip.case,
        stored: None,
    };
    Ok((target, None))
}

/// Why there is nothing to reduce.
fn refused(target: &CaseToReduce, subject: &dyn Engine, reduced: Reduced) -> Failure {
    let identity = subject.identity();
    let (name, engine) = (&target.name, format!("{} ({})", identity.name, identity.version));
    match reduced {
        Reduced::Agrees | Reduced::Bugs(_) => {
            let failure = Failure::new(format!("{name} does not diverge on {engine} any more"));
            match target
                .stored
                .as_ref()
                .filter(|stored| (&stored.engine, &stored.version) != (&identity.name, &identity.version))
            {
                Some(stored) => failure.hint(format!(
                    "it was found on {} ({}): reduce it there, or run the check again",
                    stored.engine, stored.version
                )),
                None => failure.hint("it comes and goes, or the case was changed: run the check again"),
            }
        }
        Reduced::Inconclusive(reason) => {
            let why = match reason {
                InconclusiveReason::ExpectedHung => "the reference does not end".to_owned(),
                InconclusiveReason::ExpectedDied => "the reference dies".to_owned(),
                InconclusiveReason::Deviation { id, .. } => {
                    format!("the engine documents that it ends otherwise ({id})")
                }
                InconclusiveReason::OpenEndpoint { .. } | InconclusiveReason::OpenMemory { .. } => {
                    "what differs is left open by the manuals".to_owned()
                }
            };
            Failure::new(format!("{name} cannot be judged: {why}"))
                .hint("nothing is wrong that could be reduced")
        }
        Reduced::Unsupported(reason) => {
            Failure::new(format!("{name} cannot be run on both engines: {reason}")).hint(
                "name another engine with --emulator; a recording answers for the cases in it and for no plainer ones, but \
                 --reference HOST/native runs them on the CPU of an x86-64 host",
            )
        }
        Reduced::NoCulprit(_) => Failure::new(format!(
            "{name} diverges, but no single instruction can be found at fault"
        ))
        .hint("look at it with `snippex compare --divergence N`"),
    }
}

fn save(
    store: &StoreHandle,
    stored: &Stored,
    reference: &dyn Engine,
    subject: &dyn Engine,
    bugs: &[Bug],
) -> Result<(), Failure> {
    let (reference, subject) = (
        engine_record(reference.identity()),
        engine_record(subject.identity()),
    );
    let run = stored.run;
    let (reference, subject, met) = store
        .call_and_wait(async move |store| {
            let reference = store.add_engine(&reference).await?;
            Ok((
                reference,
                store.add_engine(&subject).await?,
                store.list_bugs("", Some(run)).await?,
            ))
        })
        .or_user_error()?;
    let mut batch = BlockBatch::default();
    for bug in bugs {
        batch
            .bugs
            .push(new_bug(bug, reference, subject, Some(stored.block)));
        // A check counts what it meets; this one it did not name so.
        if met.iter().all(|known| known.attribution != bug.attribution()) {
            batch.sightings.push(NewSighting {
                attribution: bug.attribution(),
                engine: subject,
                runs: 1,
                blocks: 1,
            });
        }
    }
    store.save_batch(run, batch).or_user_error()?;
    store.flush().or_user_error()
}

fn print(app: &App<'_>, bug: &Bug) -> Result<(), Failure> {
    let differences = &bug.divergence.differences;
    let pattern = bug.cause.pattern();
    let mut snip = Snip::from_case(bug.case.clone());
    snip.title = bug.cause.title();
    if app.format == Format::Human {
        let line = |text: String| app.printer.print_line(text);
        line(format!(
            "{HEADING}{}{HEADING:#}  {}",
            bug.cause,
            bug.cause.title()
        ))?;
        line(format!("  shows   {} ({})", bug.signature, bug.signature.id()))?;
        for difference in differences {
            line(format!("  wrong   {}", difference_sentence(difference)))?;
        }
        line(match pattern {
            Some(pattern) => format!(
                "  manual  the reference is right: {} ({})",
                pattern.what, pattern.reference
            ),
            None => {
                "  manual  no sentence that snippex knows decides; the reference is taken as right".to_owned()
            }
        })?;
        let certain = match (bug.is_flaky(), bug.complete) {
            (true, _) => format!(
                "flaky: it showed in {} of {CONFIRMATIONS} fresh processes",
                bug.confirmed
            ),
            (false, true) => format!("confirmed in {CONFIRMATIONS} fresh processes"),
            (false, false) => {
                format!("confirmed in {CONFIRMATIONS} fresh processes, but time was up: --seconds gives more")
            }
        };
        let before = format_count(u64::from(bug.instructions), "instruction");
        line(format!(
            "  {certain}; from {before}, {} tried",
            format_count(u64::from(bug.tried), "case")
        ))?;
        return app.printer.print_text(format_args!("\n{}\n", snip.render_text()));
    }
    let document = json!({"id": bug.cause, "title": bug.cause.title(), "signature_id": bug.signature.id(),
        "signature": bug.signature, "differences": differences, "pattern": pattern,
        "right": pattern.map(|_| "reference"),
        "confirmations": bug.confirmed, "flaky": bug.is_flaky(), "complete": bug.complete,
        "instructions_before": bug.instructions, "tried": bug.tried, "snip": snip.render_text()});
    app.printer.print_json_line(&document)
}
