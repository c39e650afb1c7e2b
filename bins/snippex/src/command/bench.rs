//! `snippex bench`: how fast engines run the blocks of a program, against a process for each block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cli_kit::{ExitStatus, Failure, Table, units};
use serde::Serialize;
use snippex_blocks::extract::extract_blocks;
use snippex_core::block::Block;
use snippex_core::observation::Endpoint;
use snippex_exec::batch::split_into_batches;
use snippex_exec::engine::{Engine, EngineError, EngineSpec};
use snippex_exec::{CaseMaker, MemorySource, affinity};

use crate::app::App;
use crate::args::BenchArgs;
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;
use crate::spawn::{self, SpawnError};
use snippex_report::EngineView;
use snippex_report::{format_count, format_number, format_percent};
use snippex_session::{BinaryFile, EngineChoice};

/// Blocks in a batch, as in a check.
const BATCH: usize = 32;

/// A measured stage.
#[derive(Debug, Serialize)]
struct Measurement {
    what: String,
    runs: u64,
    seconds: f64,
    runs_per_second: f64,
    ns_per_run: f64,
}

impl Measurement {
    fn new(what: impl Into<String>, runs: u64, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let each = seconds / runs.max(1) as f64;
        Self {
            what: what.into(),
            runs,
            seconds,
            runs_per_second: 1.0 / each.max(1e-12),
            ns_per_run: each * 1e9,
        }
    }
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct BenchReport {
    binary: String,
    blocks: usize,
    states: u32,
    seed: u64,
    runs: u64,
    completed: u64,
    /// Runs that left the same bits on both engines, before any mask.
    same_bits: u64,
    engines: Vec<EngineView>,
    measurements: Vec<Measurement>,
    /// How many times faster the reference is than a process for each block.
    times_spawn_per_block: Option<f64>,
}

pub(crate) fn run(app: &App<'_>, args: &BenchArgs) -> Result<ExitStatus, Failure> {
    app.tidy_up_when_killed()?;
    let file = BinaryFile::read_file(&args.binary).or_user_error()?;
    let image = file.parse_image().or_user_error()?;
    let placement = file.placement(&image).or_user_error()?;
    let choices = [
        EngineChoice::from_name(&app.engines, "native").or_user_error()?,
        subject_engine(app, &args.engine)?,
    ];
    affinity::stay_here();
    let [mut native, mut subject] = [
        choices[0].start_engine().or_user_error()?,
        choices[1].start_engine().or_user_error()?,
    ];
    let mut thorough = EngineChoice::Process(EngineSpec {
        shortcuts: false,
        ..EngineSpec::native()
    })
    .start_engine()
    .or_user_error()?;
    let index = extract_blocks(&image);
    let runnable = || index.iter().filter(|block| block.unrunnable.is_none());
    let count = if args.count == 0 { usize::MAX } else { args.count };
    let step = (runnable().count() / count).max(1);
    let blocks: Vec<Arc<Block>> = runnable().step_by(step).take(count).map(Arc::new).collect();
    if blocks.is_empty() {
        return Err(
            Failure::new(format!("no block of {} can be run", file.path())).hint("name another program")
        );
    }
    let source = MemorySource::new(Some(&image), placement, args.seed);
    let mut maker = CaseMaker::new(source, placement, args.seed, args.states as usize);
    let progress = app.printer.start_progress("measuring", Some(blocks.len() as u64));
    let mut total = Total::default();
    let batches = blocks.len().div_ceil(BATCH);
    for batch in 0..batches {
        let chosen: Vec<_> = blocks.iter().skip(batch).step_by(batches).cloned().collect();
        total
            .batch(&mut maker, &chosen, [&mut *native, &mut *thorough, &mut *subject])
            .or_user_error()?;
        progress.advance(chosen.len() as u64);
    }
    drop(progress);
    let name = |engine: &dyn Engine| engine.identity().name.clone();
    let mut measurements = vec![
        Measurement::new(name(native.as_ref()), total.runs, total.native),
        Measurement::new(
            format!("{}, all state in every run", name(native.as_ref())),
            total.runs,
            total.thorough,
        ),
        Measurement::new(name(subject.as_ref()), total.runs, total.subject),
        Measurement::new("finding the memory of blocks", total.runs, total.discovery),
        Measurement::new("comparing", total.runs, total.comparison),
    ];
    let spawned = spawned(app, &blocks, args.spawns);
    let times = spawned
        .as_ref()
        .map(|(_, first)| first.ns_per_run / measurements[0].ns_per_run);
    measurements.extend(
        spawned
            .into_iter()
            .flat_map(|(prebuilt, whole)| [whole, prebuilt]),
    );
    let answer = BenchReport {
        binary: file.path(),
        blocks: blocks.len(),
        states: args.states,
        seed: args.seed,
        runs: total.runs,
        completed: total.completed,
        same_bits: total.same,
        engines: vec![
            engine_view(native.identity(), "reference"),
            engine_view(subject.identity(), "tested"),
        ],
        measurements,
        times_spawn_per_block: times,
    };
    app.print_answer(&answer, || print(app, &answer))?;
    Ok(ExitStatus::NothingFound)
}

/// Sums over all batches.
#[derive(Default)]
struct Total {
    runs: u64,
    completed: u64,
    same: u64,
    discovery: Duration,
    native: Duration,
    thorough: Duration,
    subject: Duration,
    comparison: Duration,
}

impl Total {
    fn batch(
        &mut self,
        maker: &mut CaseMaker<'_>,
        blocks: &[Arc<Block>],
        [native, thorough, subject]: [&mut dyn Engine; 3],
    ) -> Result<(), EngineError> {
        let started = Instant::now();
        let groups = maker.make_groups(blocks, native)?;
        self.discovery += started.elapsed();
        for range in split_into_batches(&groups) {
            let groups = &groups[range];
            let started = Instant::now();
            let expected = native.run(groups)?;
            self.native += started.elapsed();
            let started = Instant::now();
            thorough.run(groups)?;
            self.thorough += started.elapsed();
            let started = Instant::now();
            let actual = subject.run(groups)?;
            self.subject += started.elapsed();
            let started = Instant::now();
            for (position, group) in groups.iter().enumerate() {
                for start in 0..group.starts.len() {
                    self.runs += 1;
                    let completed = matches!(expected.endpoint(position, start), Some(Endpoint::Exit { .. }));
                    self.completed += u64::from(completed);
                    self.same += u64::from(expected.same_bits(&actual, position, start));
                }
            }
            self.comparison += started.elapsed();
        }
        Ok(())
    }
}

/// Starting a prebuilt program for each block, and assembling and linking it before.
fn spawned(app: &App<'_>, blocks: &[Arc<Block>], count: usize) -> Option<(Measurement, Measurement)> {
    if count == 0 {
        return None;
    }
    let step = (blocks.len() / count).max(1);
    let sample: Vec<&Block> = blocks.iter().step_by(step).take(count).map(Arc::as_ref).collect();
    match spawn::measure_spawn_times(&sample) {
        Ok(times) => Some((
            Measurement::new("start a program for each block", times.runs, times.start),
            Measurement::new(
                format!("{}, ld and start for each block", times.assembler),
                times.runs,
                times.whole,
            ),
        )),
        Err(error @ (SpawnError::NoAssembler | SpawnError::Failed { .. })) => {
            app.printer
                .print_warning(format_args!("a process for each block was not measured: {error}"));
            None
        }
    }
}

fn print(app: &App<'_>, answer: &BenchReport) -> Result<(), Failure> {
    app.printer.print_line(format_args!(
        "{}: {}, {} each\n  state: {}",
        answer.binary,
        format_count(answer.blocks as u64, "block"),
        format_count(u64::from(answer.states), "start state"),
        answer.engines[0].features.join(" "),
    ))?;
    for engine in &answer.engines {
        app.printer
            .print_line(format_args!("  {}: {}", engine.name, engine.version))?;
    }
    let mut table = Table::new(["one core", "runs/s", "a run"])
        .align_right(1)
        .align_right(2);
    for measurement in &answer.measurements {
        let each = Duration::from_nanos(measurement.ns_per_run.round() as u64);
        table.add_row([
            measurement.what.clone(),
            units::format_rate(measurement.runs_per_second),
            units::format_duration(each),
        ]);
    }
    app.printer.print_line(format_args!("\n{table}\n"))?;
    app.printer.print_line(format_args!(
        "{} reached their terminator;\n{} left the same bits on both engines, before any mask",
        format_percent(answer.completed, answer.runs),
        format_percent(answer.same_bits, answer.runs),
    ))?;
    if let Some(times) = answer.times_spawn_per_block {
        app.printer.print_line(format_args!(
            "{} times as fast as a process for each block ({} with all state in every run)",
            format_number(times as u64),
            format_number(
                (times * answer.measurements[0].ns_per_run / answer.measurements[1].ns_per_run) as u64
            ),
        ))?;
    }
    Ok(())
}
