//! `snippex simulate`: stored blocks on one engine; how they ended is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use cli_kit::style::{FAINT, UNSURE};
use cli_kit::{CancelToken, ExitStatus, Failure, Format, Table, units};
use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation, signal_name};
use snippex_exec::batch::split_into_batches;
use snippex_exec::engine::{Engine, EngineError};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};
use snippex_session::{BlockSource, EngineChoice, SessionError, engine_record, stored_targets, this_host};
use snippex_store::{
    BlockBatch, BlockNumber, BlockResult, EngineId, NewObservation, NewRun, ObservationId, ResultCounts,
    RunEnd, RunId, StoreHandle, UnixMillis,
};

use crate::app::App;
use crate::args::SimulateArgs;
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;
use snippex_report::EngineView;
use snippex_report::ends::EndsView;
use snippex_report::state::{MemoryOptions, View};
use snippex_report::{format_count, format_number, format_percent, render_headerless_table};

/// Blocks in a batch: their end states stay in the cache.
const BATCH: usize = 16;

/// The answer for programs.
#[derive(Debug, Serialize)]
struct SimulateReport<'a> {
    run: RunId,
    /// Whether every block was done.
    complete: bool,
    /// Blocks that were done.
    blocks: u64,
    runs: u64,
    completed: u64,
    faulted: u64,
    unsupported: u64,
    /// Runs by how they ended.
    endpoints: &'a BTreeMap<String, u64>,
    unsupported_by_reason: &'a BTreeMap<String, u64>,
    engines: [EngineView; 1],
    /// Kept observations, when there are few.
    observations: Vec<ObservationId>,
    /// The first run of it, where only one block was to run.
    first: Option<EndsView>,
}

/// Counts of a simulation under way.
#[derive(Default)]
struct SimulateTally {
    blocks: u64,
    counts: ResultCounts,
    endpoints: BTreeMap<String, u64>,
    unsupported: BTreeMap<String, u64>,
    /// The end of the first run, to be shown.
    first: Option<(Group, Observation)>,
}

pub(crate) fn run(app: &App<'_>, args: &SimulateArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let targets =
        stored_targets(&store, &args.blocks.selection, args.blocks.binary.as_deref()).or_user_error()?;
    let count: u64 = targets.iter().map(|target| target.count).sum();
    warn_of_size(app, count * u64::from(args.states));
    let choice = subject_engine(app, &args.engine)?;
    let mut engine = choice.start_engine().or_user_error()?;
    let mut scout = scout(app, &choice);
    let cancel = app.cancel_token()?;
    let (run, id) = start(&store, args, engine.as_ref())?;
    let mut tally = SimulateTally::default();
    let mut done = Ok(());
    let progress = app
        .printer
        .start_progress("simulating", Some(count * u64::from(args.states)));
    for target in &targets {
        let (file, blocks) = match target.load_source_and_blocks(&store).or_user_error() {
            Ok(read) => read,
            Err(failure) => {
                done = Err(failure);
                break;
            }
        };
        let blocks: Vec<(BlockNumber, Arc<Block>)> = blocks
            .into_iter()
            .map(|stored| (stored.number, Arc::new(stored.block)))
            .collect();
        let work = SimulateWork {
            args,
            file: &file,
            cancel: &cancel,
            store: &store,
            run,
            id,
        };
        let advance = |runs| progress.advance(runs);
        done = work.blocks(
            &blocks,
            engine.as_mut(),
            scout.as_deref_mut(),
            &mut tally,
            &advance,
        );
        if done.is_err() {
            break;
        }
    }
    drop(progress);
    // Ctrl-C after the last block stops nothing.
    let complete = done.is_ok() && tally.blocks == count;
    let end = if complete {
        RunEnd::Finished
    } else {
        RunEnd::Interrupted
    };
    let finished = store.finish_run(run, end, UnixMillis::now()).or_user_error();
    done.and(finished)?;
    print(app, &store, run, complete, engine.as_ref(), &tally)?;
    Ok(if complete {
        ExitStatus::NothingFound
    } else {
        app.status_when_stopped()
    })
}

/// Every end is kept in full, which fills a disk sooner than one thinks.
fn warn_of_size(app: &App<'_>, runs: u64) {
    const MANY: u64 = 100_000;
    /// What an observation takes in the database, about.
    const BYTES: u64 = 12 * 1024;
    if runs > MANY {
        app.printer.print_warning(format_args!(
            "the ends of {} are all kept, which takes about {}; snippex validate keeps only what differs",
            format_count(runs, "run"),
            units::format_bytes(runs * BYTES)
        ));
    }
}

/// The engine that finds out which memory the blocks need: this CPU where it is one, so that every engine gets the
/// same cases; else `None`, and the engine itself has to.
fn scout(app: &App<'_>, choice: &EngineChoice) -> Option<Box<dyn Engine>> {
    if choice.is_native() {
        return None;
    }
    match EngineChoice::from_name(&app.engines, "native")
        .map_err(SessionError::from)
        .and_then(|native| Ok(native.start_engine()?))
        .or_user_error()
    {
        Ok(native) => Some(native),
        Err(failure) => {
            app.printer.print_warning(format_args!(
                "{failure}; which memory a block needs is found out on the engine itself"
            ));
            None
        }
    }
}

fn start(
    store: &StoreHandle,
    args: &SimulateArgs,
    engine: &dyn Engine,
) -> Result<(RunId, EngineId), Failure> {
    let record = engine_record(engine.identity());
    let (host, id) = store
        .call_and_wait(async move |store| {
            Ok((
                store.add_host(&this_host()).await?,
                store.add_engine(&record).await?,
            ))
        })
        .or_user_error()?;
    let run = store
        .start_run(NewRun {
            command: "simulate".to_owned(),
            arguments: crate::app::redacted_command_line(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: args.seed,
            states_per_block: args.states,
            partition: None,
            host,
            engines: vec![id],
            started: UnixMillis::now(),
        })
        .or_user_error()?;
    Ok((run, id))
}

/// What the blocks of one binary are run with.
struct SimulateWork<'w> {
    args: &'w SimulateArgs,
    file: &'w BlockSource,
    cancel: &'w CancelToken,
    store: &'w StoreHandle,
    run: RunId,
    id: EngineId,
}

impl SimulateWork<'_> {
    fn blocks(
        &self,
        blocks: &[(BlockNumber, Arc<Block>)],
        engine: &mut (dyn Engine + 'static),
        mut scout: Option<&mut (dyn Engine + 'static)>,
        tally: &mut SimulateTally,
        advance: &dyn Fn(u64),
    ) -> Result<(), Failure> {
        let image = self.file.parse_image().or_user_error()?;
        let placement = self.file.placement(image.as_ref()).or_user_error()?;
        let source = MemorySource::new(image.as_ref(), placement, self.args.seed);
        let mut maker = CaseMaker::new(source, placement, self.args.seed, self.args.states as usize)
            .in_style(self.file.style());
        // Neighbours cannot lie in one batch, so a batch takes blocks that are far apart.
        let batches = blocks.len().div_ceil(BATCH);
        for batch in 0..batches {
            if self.cancel.is_cancelled() {
                break;
            }
            let (numbers, chosen): (Vec<_>, Vec<_>) =
                blocks.iter().skip(batch).step_by(batches).cloned().unzip();
            let finder = match &mut scout {
                Some(scout) => &mut **scout,
                None => &mut *engine,
            };
            let groups = maker.make_groups(&chosen, finder).or_user_error()?;
            let results = self.groups(&numbers, &groups, engine, tally).or_user_error()?;
            advance(groups.iter().map(|group| group.starts.len() as u64).sum());
            self.store.save_batch(self.run, results).or_user_error()?;
        }
        Ok(())
    }

    fn groups(
        &self,
        numbers: &[BlockNumber],
        groups: &[Group],
        engine: &mut dyn Engine,
        tally: &mut SimulateTally,
    ) -> Result<BlockBatch, EngineError> {
        let mut batch = BlockBatch::default();
        for range in split_into_batches(groups) {
            let results = engine.run(&groups[range.clone()])?;
            for (position, index) in range.enumerate() {
                let (group, block) = (&groups[index], numbers[index]);
                let mut counts = ResultCounts::default();
                for start in 0..group.starts.len() {
                    counts.runs += 1;
                    match results.outcome(position, start) {
                        RunOutcome::Unsupported(reason) => {
                            counts.unsupported += 1;
                            *tally.unsupported.entry(reason.to_string()).or_default() += 1;
                        }
                        RunOutcome::Ran(observation) => {
                            count(&mut counts, &mut tally.endpoints, &observation.endpoint);
                            batch.observations.push(NewObservation {
                                block,
                                engine: self.id,
                                state_index: start as u32,
                                case: (&group.case_at(start)).into(),
                                observation: (&*observation).into(),
                            });
                            tally.first.get_or_insert_with(|| (group.clone(), *observation));
                        }
                    }
                }
                tally.blocks += 1;
                tally.counts.merge_counts(&counts);
                batch.results.push(BlockResult {
                    block,
                    engine: self.id,
                    counts,
                });
            }
        }
        Ok(batch)
    }
}

fn count(counts: &mut ResultCounts, endpoints: &mut BTreeMap<String, u64>, endpoint: &Endpoint) {
    let name = match endpoint {
        Endpoint::Exit { .. } => {
            counts.completed += 1;
            "terminator reached".to_owned()
        }
        Endpoint::Signal(signal) => {
            counts.faulted += 1;
            signal_name(i32::from(signal.number))
        }
        Endpoint::Hung => "did not end".to_owned(),
        Endpoint::EngineDied { .. } => "engine died".to_owned(),
    };
    *endpoints.entry(name).or_default() += 1;
}

fn print(
    app: &App<'_>,
    store: &StoreHandle,
    run: RunId,
    complete: bool,
    engine: &dyn Engine,
    tally: &SimulateTally,
) -> Result<(), Failure> {
    const FEW: u32 = 1000;
    let (blocks, counts) = (tally.blocks, &tally.counts);
    let mut kept: Vec<ObservationId> = Vec::new();
    if counts.runs <= u64::from(FEW) {
        let found = store
            .call_and_wait(async move |store| store.list_observations(Some(run), None, None, None, FEW).await)
            .or_user_error()?;
        kept.extend(found.iter().map(|observation| observation.id));
        kept.sort_unstable();
    }
    let first = tally.first.as_ref().filter(|_| blocks == 1);
    let first = first.map(|(group, observation)| (group.case_at(0), observation));
    let identity = engine.identity();
    let answer = SimulateReport {
        run,
        complete,
        blocks,
        runs: counts.runs,
        completed: counts.completed,
        faulted: counts.faulted,
        unsupported: counts.unsupported,
        endpoints: &tally.endpoints,
        unsupported_by_reason: &tally.unsupported,
        engines: [engine_view(identity, "simulated")],
        observations: kept,
        first: first.as_ref().map(|(case, observation)| {
            EndsView::new(case, identity.components, [(identity.name.clone(), *observation)])
        }),
    };
    match app.format {
        Format::Json => return app.printer.print_json(&answer),
        Format::Jsonl => return app.printer.print_json_line(&answer),
        Format::Human => {}
    }
    let name = identity.name_and_version();
    app.printer.print_line(format_args!(
        "{} of {} on {name} (run {run})",
        format_count(counts.runs, "run"),
        format_count(blocks, "block")
    ))?;
    let mut table = Table::new(Vec::<String>::new()).align_right(0).align_right(1);
    for (end, runs) in tally.endpoints.iter().chain(&tally.unsupported) {
        table.add_row([
            format_number(*runs),
            format_percent(*runs, counts.runs),
            end.clone(),
        ]);
    }
    app.printer.print_line(render_headerless_table(&table))?;
    if let Some((case, observation)) = &first {
        let view = View {
            case,
            ends: vec![(identity.name.clone(), *observation)],
            covered: identity.components,
            comparison: None,
            all: false,
            masked: false,
            flag_detail: false,
            memory: MemoryOptions::default(),
            color: app.printer.has_color(),
            width: app.printer.width(),
        };
        app.printer.print_line(format_args!("\n{}", view.render_text()))?;
    }
    if !complete {
        app.printer.print_line(format_args!(
            "\n{UNSURE}stopped early{UNSURE:#}: this is what run {run} did until then"
        ))?;
    }
    if let (Some(first), Some(last)) = (answer.observations.first(), answer.observations.last()) {
        let kept = if first == last {
            format!("observation {first}")
        } else {
            format!("observations {first} to {last}")
        };
        app.printer.print_note(format_args!(
            "\n{FAINT}kept as {kept}; simulate on another engine, then: snippex compare {first} N{FAINT:#}"
        ));
    }
    Ok(())
}
