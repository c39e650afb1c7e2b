//! Which blocks of a program are taken, as it was typed.

use std::path::Path;

use cli_kit::{ExitStatus, Failure};
use snippex_blocks::binary::Unpacker;
use snippex_blocks::select::SelectionRequest;
use snippex_core::words::escape_control;
use snippex_report::format_count;
use snippex_report::selection::SelectionView;
use snippex_session::{BinaryFile, ReadPrograms, StoredSelection, TargetChoice};

use crate::app::App;
use crate::args::{FilterArgs, SelectArgs};
use crate::hints::{OrUserError, UserError};

/// What was typed, checked.
pub(crate) fn build_target_choice(
    filter: &FilterArgs,
    select: &SelectArgs,
    seed: u64,
) -> Result<TargetChoice, Failure> {
    let count = select
        .count
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    Ok(TargetChoice {
        filter: filter.to_filter_options().into_filter().or_user_error()?,
        request: SelectionRequest {
            strategy: select.select_strategy.into(),
            smart: select.smart_select,
            count,
            seed,
        },
        keep_report: select.selection_report,
    })
}

/// Warns when nothing is left of the blocks of a program, and when the program only unpacks another.
pub(crate) fn warn_of_choice(app: &App<'_>, file: &BinaryFile, found: usize, chosen: usize) {
    if let Some(unpacker) = Unpacker::of_file(file.bytes()) {
        app.printer.print_warning(format_args!(
            "{} carries another program, packed by {}: these are the blocks of what unpacks it; {}",
            file.path(),
            unpacker.name(),
            unpacker.hint()
        ));
    }
    if chosen == 0 {
        app.printer.print_warning(format_args!(
            "none of the {} of {} match; relax the filters",
            format_count(found as u64, "block"),
            file.path()
        ));
    }
}

/// Why blocks were chosen.
pub(crate) fn selection_view(selection: &StoredSelection) -> SelectionView {
    let numbers = selection.numbers.iter().map(|(&index, number)| (index, number.0));
    SelectionView::new(&selection.report, &numbers.collect())
}

/// A path as people see it.
fn shown(path: &Path) -> String {
    escape_control(&path.to_string_lossy()).into_owned()
}

/// Says which programs of a check were left out, and why.
pub(crate) fn warn_of_left_out(app: &App<'_>, read: &ReadPrograms) {
    for same in &read.same {
        app.printer.print_warning(format_args!(
            "{} is left out: it is the same as {}",
            shown(&same.path),
            shown(&same.earlier)
        ));
    }
    for skipped in &read.skipped {
        if skipped.is_script {
            app.printer.print_note(format_args!(
                "{} is left out: it is a script",
                shown(&skipped.path)
            ));
        } else {
            app.printer
                .print_warning(format_args!("left out: {}", skipped.error.user_error()));
        }
    }
}

/// How a check ends that found nothing, but did not see all that was named.
pub(crate) fn status_with_left_out(status: ExitStatus, incomplete: bool) -> ExitStatus {
    match status {
        ExitStatus::NothingFound if incomplete => ExitStatus::CouldNot,
        status => status,
    }
}
