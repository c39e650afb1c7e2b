//! `snippex analyze`: what the blocks of a file, or stored blocks, are made of.

use cli_kit::{ExitStatus, Failure};
use snippex_blocks::extract::extract_blocks;
use snippex_store::Selection;

use crate::app::App;
use crate::args::AnalyzeArgs;
use crate::hints::OrUserError;
use snippex_report::analysis::{Analysis, Analyzer};
use snippex_session::{BinaryFile, load_blocks};

pub(crate) fn run(app: &App<'_>, args: &AnalyzeArgs) -> Result<ExitStatus, Failure> {
    let filter = args.filter.to_filter_options().into_filter().or_user_error()?;
    let mut analyzer = Analyzer::new().or_user_error()?;
    match selection(args) {
        Some(selection) => {
            let store = app.existing_store()?;
            let stored = load_blocks(&store, &selection, args.binary.as_deref()).or_user_error()?;
            for stored in stored.iter().filter(|stored| filter.matches_block(&stored.block)) {
                analyzer.add_block(&stored.block);
            }
        }
        None => {
            let file = BinaryFile::read_file(&args.subject).or_user_error()?;
            let image = file.parse_image().or_user_error()?;
            let index = extract_blocks(&image);
            for block in index.iter().filter(|block| filter.matches_block(block)) {
                analyzer.add_block(&block);
            }
        }
    }
    print(app, &analyzer.into_analysis(), args.top)?;
    Ok(ExitStatus::NothingFound)
}

/// The stored blocks that are meant; a file that is called like a selection is a file.
fn selection(args: &AnalyzeArgs) -> Option<Selection> {
    if args.subject.exists() {
        return None;
    }
    args.subject.to_str()?.parse().ok()
}

fn print(app: &App<'_>, analysis: &Analysis, top: usize) -> Result<(), Failure> {
    if analysis.blocks == 0 {
        app.printer.print_warning("no block matches; relax the filters");
    }
    app.print_answer(analysis, || app.printer.print_line(analysis.render_text(top)))
}
