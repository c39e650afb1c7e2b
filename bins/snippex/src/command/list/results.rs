//! Runs, and the divergences and observations that they left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use cli_kit::{Failure, Table, units};
use serde_json::json;
use snippex_store::{RunId, RunSummary, StoreHandle, UnixMillis};

use super::{answer_program, say_if_more};
use crate::app::App;
use crate::hints::OrUserError;
use snippex_core::words::kebab_case;
use snippex_report::format_number;

pub(super) fn print_runs(app: &App<'_>, store: &StoreHandle, limit: usize) -> Result<(), Failure> {
    let mut runs = store
        .call_and_wait(async move |store| {
            let mut rows = Vec::new();
            for run in store.list_runs(None, one_more(limit)).await? {
                let totals = store.sum_results(run.id).await?;
                let summary = store.find_summary(run.id).await?;
                let mut engines = Vec::new();
                for engine in &run.run.engines {
                    engines.push(store.load_engine(*engine).await?.name);
                }
                rows.push((run, totals, engines, summary));
            }
            Ok(rows)
        })
        .or_user_error()?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let views = runs.iter().map(|(run, totals, engines, summary)| {
        let sum = |of: fn(&snippex_store::ResultCounts) -> u64| totals.iter().map(|(_, _, counts)| of(counts)).sum::<u64>();
        json!({"run": run.id, "command": run.run.command, "arguments": run.run.arguments, "status": run.status,
            "started_ms": run.run.started, "engines": engines, "seed": run.run.seed, "states": run.run.states_per_block,
            "runs": sum(|counts| counts.runs), "matched": sum(|counts| counts.matched),
            "diverged": sum(|counts| counts.diverged),
            "summary": summary.as_ref().map(summary_view)})
    });
    if answer_program(app, views)? {
        return Ok(());
    }
    let mut table = Table::new([
        "run", "command", "ago", "status", "engines", "runs", "diverged", "took",
    ])
    .align_right(0)
    .align_right(2)
    .align_right(5)
    .align_right(6)
    .align_right(7)
    .fit(app.printer.width());
    for (run, totals, engines, summary) in &runs {
        let done: u64 = totals.iter().map(|(_, _, counts)| counts.runs).sum();
        let diverged: u64 = totals.iter().map(|(_, _, counts)| counts.diverged).sum();
        let ago = UnixMillis::now().0.saturating_sub(run.run.started.0);
        table.add_row([
            run.id.to_string(),
            run.run.command.clone(),
            units::format_duration(
                Duration::from_secs(ago.unsigned_abs() / 1000).max(Duration::from_secs(1)),
            ),
            kebab_case(&run.status),
            engines.join(", "),
            format_number(done),
            format_number(diverged),
            summary
                .as_ref()
                .map_or_else(String::new, |summary| units::format_duration(summary.elapsed)),
        ]);
    }
    app.printer.print_line(table)?;
    say_if_more(app, more);
    Ok(())
}

/// What a run came to, for programs.
fn summary_view(summary: &RunSummary) -> serde_json::Value {
    json!({"elapsed_s": summary.elapsed.as_secs_f64(), "blocks": summary.blocks,
        "diverging_blocks": summary.diverging_blocks, "runs": summary.runs, "completed": summary.completed,
        "faulted": summary.faulted, "matched": summary.matched, "diverged": summary.diverged,
        "inconclusive": summary.inconclusive, "unsupported": summary.unsupported,
        "by_reason": summary.details})
}

/// Asks for one row more than is shown, to know whether there are more.
fn one_more(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1)
}

pub(super) fn print_divergences(
    app: &App<'_>,
    store: &StoreHandle,
    run: Option<RunId>,
    limit: usize,
) -> Result<(), Failure> {
    let mut found = store
        .call_and_wait(async move |store| {
            let run = match run {
                Some(run) => store.load_run(run).await?.id,
                None => match store.list_runs(None, 1).await?.first() {
                    Some(run) => run.id,
                    None => return Ok(Vec::new()),
                },
            };
            store
                .list_divergences(Some(run), None, None, one_more(limit))
                .await
        })
        .or_user_error()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let views = found.iter().map(|divergence| {
        let differences: serde_json::Value =
            serde_json::from_str(&divergence.differences).unwrap_or_default();
        json!({"divergence": divergence.id, "run": divergence.run, "block": divergence.block,
            "state": divergence.state_index, "class": divergence.class, "culprit": divergence.culprit,
            "case": divergence.case_id.to_string(), "differences": differences})
    });
    if answer_program(app, views)? {
        return Ok(());
    }
    if found.is_empty() {
        app.printer.print_note("no divergences in this run");
        return Ok(());
    }
    let mut table = Table::new(["divergence", "block", "state", "kind", "instruction"])
        .align_right(0)
        .align_right(1)
        .align_right(2)
        .fit(app.printer.width());
    for divergence in &found {
        table.add_row([
            divergence.id.to_string(),
            divergence.block.to_string(),
            divergence.state_index.to_string(),
            divergence.class.clone(),
            divergence.culprit.clone().unwrap_or_default(),
        ]);
    }
    app.printer.print_line(table)?;
    say_if_more(app, more);
    app.printer
        .print_note("one in full: snippex compare --divergence N");
    Ok(())
}

pub(super) fn print_observations(
    app: &App<'_>,
    store: &StoreHandle,
    run: Option<RunId>,
    limit: usize,
) -> Result<(), Failure> {
    let (mut found, engines) = store
        .call_and_wait(async move |store| {
            if let Some(run) = run {
                store.load_run(run).await?;
            }
            let found = store
                .list_observations(run, None, None, None, one_more(limit))
                .await?;
            let mut engines = HashMap::new();
            for observation in &found {
                if let Entry::Vacant(name) = engines.entry(observation.engine) {
                    name.insert(store.load_engine(observation.engine).await?.name);
                }
            }
            Ok((found, engines))
        })
        .or_user_error()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let views = found.iter().map(|observation| {
        json!({"observation": observation.id, "run": observation.run, "block": observation.block,
            "state": observation.state_index, "engine": engines[&observation.engine],
            "case": observation.case_id.to_string()})
    });
    if answer_program(app, views)? {
        return Ok(());
    }
    if found.is_empty() {
        app.printer
            .print_note("no observations: snippex simulate keeps how blocks end on an engine");
        return Ok(());
    }
    let mut table = Table::new(["observation", "run", "block", "state", "engine", "case"])
        .align_right(0)
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .fit(app.printer.width());
    for observation in &found {
        table.add_row([
            observation.id.to_string(),
            observation.run.to_string(),
            observation.block.to_string(),
            observation.state_index.to_string(),
            engines[&observation.engine].clone(),
            observation.case_id.to_string()[..12].to_owned(),
        ]);
    }
    app.printer.print_line(table)?;
    say_if_more(app, more);
    app.printer
        .print_note("two of one case side by side: snippex compare A B");
    Ok(())
}
