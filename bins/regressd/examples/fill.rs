//! Fills a database with runs of a history, without a service: to measure how a full one answers.
//!
//! `cargo run --release -p regressd --example fill -- --database full.db --measurements 10000000`
//!
//! The runs are those of `load`'s repositories, component and environment, so that what `load` posts afterwards is
//! judged by them.

#![expect(clippy::unwrap_used, reason = "a tool for measuring; what goes wrong ends it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use regress_core::detect::{Outcome, VerdictKind};
use regressd::database::judgements::{self, Judgement};
use regressd::database::runs::{self, NewRun};
use regressd::database::streams::{self, SeriesName};
use regressd::database::{Database, repositories};
use regressd::domain::{RepositoryId, Results, RunId, SeriesId, StreamId, UnixMillis};
use regressd::judging::{RunVerdicts, StoredVerdict};

/// Runs of one transaction.
const AT_ONCE: u64 = 500;

#[derive(Debug, Parser)]
struct Args {
    /// The database, as the service takes it
    #[arg(long, default_value = "full.db")]
    database: String,
    /// Measurements in all
    #[arg(long, default_value_t = 10_000_000)]
    measurements: u64,
    /// Benchmarks in a run
    #[arg(long, default_value_t = 20)]
    benchmarks: u64,
    /// Repositories that take turns
    #[arg(long, default_value_t = 20)]
    repositories: u64,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let database = Database::open(&args.database.parse().unwrap()).await.unwrap();
    let begun = Instant::now();
    let mut whose = Vec::new();
    for number in 0..args.repositories {
        whose.push(prepare(&database, number, args.benchmarks).await);
    }
    let whose = Arc::new(whose);
    let runs = args.measurements / args.benchmarks;
    let mut done = 0;
    while done < runs {
        let (first, last) = (done, (done + AT_ONCE).min(runs));
        let whose = Arc::clone(&whose);
        let write = database.run_in_transaction(move |connection| {
            let whose = Arc::clone(&whose);
            Box::pin(async move {
                for number in first..last {
                    let of = &whose[(number % whose.len() as u64) as usize];
                    let run = new_run(of, number);
                    if let Some(id) = runs::insert_run(connection, &run).await? {
                        judgements::put_judgement(connection, &judgement(of, id, &run)).await?;
                    }
                }
                Ok(())
            })
        });
        write.await.unwrap();
        done = last;
    }
    println!(
        "{runs} runs of {} benchmarks in {:.0} s",
        args.benchmarks,
        begun.elapsed().as_secs_f64()
    );
}

/// A repository's stream and its series.
struct Whose {
    repository: RepositoryId,
    stream: StreamId,
    series: Vec<SeriesId>,
}

async fn prepare(database: &Database, number: u64, benchmarks: u64) -> Whose {
    let write = database.run_in_transaction(move |connection| {
        Box::pin(async move {
            let name = format!("load/r{number}").parse().unwrap();
            let repository = repositories::insert_repository(connection, &name).await?;
            let parts = r#"{"tags":{"name":"load"}}"#;
            let environment = streams::insert_environment(connection, "tag name=load", parts).await?;
            let stream = streams::insert_stream(connection, repository, environment, "default").await?;
            let mut series = Vec::new();
            for benchmark in 0..benchmarks {
                let name = SeriesName {
                    benchmark: format!("example.com/load.BenchmarkOf{benchmark}"),
                    measure: "latency".to_owned(),
                    unit: "ns".to_owned(),
                    direction: regress_core::measurement::Direction::SmallerIsBetter,
                };
                series.push(streams::insert_series(connection, stream, &name).await?);
            }
            Ok(Whose {
                repository,
                stream,
                series,
            })
        })
    });
    write.await.unwrap()
}

fn value(benchmark: usize, number: u64) -> f64 {
    let noise = number
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(benchmark as u64)
        >> 40;
    (1000 + 100 * benchmark) as f64 * (0.98 + 0.04 * (noise % 1000) as f64 / 1000.0)
}

fn new_run(of: &Whose, number: u64) -> NewRun {
    let values = of
        .series
        .iter()
        .enumerate()
        .map(|(index, series)| (*series, vec![value(index, number)]));
    NewRun {
        repository: of.repository,
        stream: of.stream,
        branch: "main".to_owned(),
        target: "main".to_owned(),
        commit: format!("f111{number:036x}"),
        pull_request: None,
        key: "1".to_owned(),
        received: UnixMillis::now(),
        uploader: "fill".to_owned(),
        workflow_run: None,
        commit_time: None,
        results: Results(values.collect::<BTreeMap<_, _>>()).to_json(),
        base: None,
        problems: None,
    }
}

/// As large as one that the service makes.
fn judgement(of: &Whose, id: RunId, run: &NewRun) -> Judgement {
    let verdict = |series: &SeriesId| StoredVerdict {
        series: *series,
        kind: VerdictKind::Unchanged,
        suspected: false,
        since: None,
        before: Some(1000.5),
        after: Some(1001.25),
        runs: (30, 1),
        percent: Some(0.074_962),
        interval: None,
        p: Some(0.645_161),
        q: Some(0.967_742),
        effect: Some(0.266_667),
        threshold: 5.0,
        confidence: 0.9,
        reason: "+0.1 % against the history's median, within its range or threshold".to_owned(),
    };
    let verdicts = RunVerdicts {
        machine: None,
        paired: false,
        verdicts: of.series.iter().map(verdict).collect(),
        shifts: Vec::new(),
        missing: Vec::new(),
    };
    Judgement {
        run: id,
        stream: run.stream,
        branch: run.branch.clone(),
        accepted: true,
        at: run.received,
        outcome: Outcome::Unchanged,
        judged: UnixMillis::now(),
        verdicts: verdicts.to_json(),
    }
}
