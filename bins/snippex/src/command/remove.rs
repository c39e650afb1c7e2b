//! `snippex remove`: blocks, a binary or a run, with everything that belongs to them.

use cli_kit::{ExitStatus, Failure, units};
use serde_json::json;
use snippex_store::Removed;

use crate::app::App;
use crate::args::RemoveArgs;
use crate::hints::OrUserError;
use snippex_report::format_count;
use snippex_session::find_binary;

pub(crate) fn run(app: &App<'_>, args: &RemoveArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let removed = if let Some(named) = &args.binary {
        let id = find_binary(&store, named).or_user_error()?.id;
        store.call_and_wait(async move |store| store.remove_binary(id).await)
    } else if let Some(run) = args.run {
        store.call_and_wait(async move |store| store.remove_run(run).await)
    } else {
        let selection = args.selection.clone().expect("clap asks for one of the three");
        store.call_and_wait(async move |store| store.remove_blocks(&selection).await)
    };
    let removed = removed.or_user_error()?;
    if let Some(selection) = args.selection.as_ref().filter(|_| removed.blocks == 0) {
        return Err(
            Failure::new(format!("there is no block {selection} in the database"))
                .hint("see `snippex list` for what is there"),
        );
    }
    let freed = match store.call_and_wait(async |store| store.give_back_space().await) {
        Ok(freed) => freed,
        Err(error) => {
            app.printer.print_warning(format_args!(
                "the space of what was removed is not given back, but used again: {error}"
            ));
            0
        }
    };
    let document = json!({"binaries": removed.binaries, "blocks": removed.blocks, "runs": removed.runs,
        "results": removed.results, "divergences": removed.divergences, "observations": removed.observations,
        "cases": removed.cases, "bytes_freed": freed});
    app.print_answer(&document, || app.printer.print_line(text(&removed, freed)))?;
    Ok(ExitStatus::NothingFound)
}

/// Fewer bytes are not worth a word.
const NOTEWORTHY: u64 = 64 << 10;

fn text(removed: &Removed, freed: u64) -> String {
    let counts = [
        (removed.binaries, "binarie"),
        (removed.blocks, "block"),
        (removed.runs, "run"),
        (removed.results, "result"),
        (removed.divergences, "divergence"),
        (removed.observations, "observation"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|&(count, thing)| match (thing, count) {
            ("binarie", 1) => "1 binary".to_owned(),
            _ => format_count(count, thing),
        })
        .collect();
    if parts.is_empty() {
        "nothing to remove".to_owned()
    } else {
        let freed = match freed {
            0..NOTEWORTHY => String::new(),
            freed => format!("; the database is {} smaller", units::format_bytes(freed)),
        };
        format!("removed {}{freed}", parts.join(", "))
    }
}
