//! `snippex check`: the whole pipeline on programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cli_kit::{ExitStatus, Failure, Format};
use snippex_blocks::extract::extract;
use snippex_core::block::Block;
use snippex_store::StoreHandle;

use super::extract::{choose, store, stored_as};
use crate::app::App;
use crate::args::CheckArgs;
use crate::binary_file::BinaryFile;
use crate::checking::{self, Engines, Target};
use crate::generating::{self, Generated};
use crate::source::Source;
use crate::tell::OrTell;
use snippex_report::selection::SelectionView;
use snippex_report::{self as report, several};

pub(crate) fn run(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    if args.generated {
        return generated(app, args);
    }
    if args.generate.given() {
        return Err(
            Failure::new("--isa, --instruction, --per-form and --sequence say what to generate")
                .hint("add --generated, and name no binary"),
        );
    }
    args.filter.options().check().or_tell()?;
    let files = read_all(app, &args.binaries)?;
    let engines = Engines::start(app, &args.engine)?;
    let database = app.open_store()?;
    let targets = files
        .into_iter()
        .map(|file| target(app, args, &database, file))
        .collect::<Result<Vec<_>, _>>()?;
    checking::run(app, &database, "check", &engines, &args.run, targets)
}

/// Blocks made from the instruction set instead of a program's.
fn generated(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    let request = generating::request(&args.generate, args.run.seed)?;
    let engines = Engines::start(app, &args.engine)?;
    let database = app.open_store()?;
    let made = Generated::new(request);
    app.printer.note(format_args!(
        "generated {} of {}",
        several(made.blocks.len() as u64, "block"),
        several(made.forms.len() as u64, "instruction form")
    ));
    let target = made.into_target(&database, args.run.partition)?;
    checking::run(app, &database, "check", &engines, &args.run, vec![target])
}

/// The files that can be used, each content once: blocks that were run twice would count twice.
fn read_all(app: &App<'_>, paths: &[PathBuf]) -> Result<Vec<BinaryFile>, Failure> {
    let mut files: Vec<BinaryFile> = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        let file = read(path)?;
        match seen.insert(file.sha256(), index) {
            Some(earlier) => app.printer.warn(format_args!(
                "{} is left out: it is the same as {}",
                path.display(),
                paths[earlier].display()
            )),
            None => files.push(file),
        }
    }
    Ok(files)
}

/// A file that can be used: told before any work is done on the others.
fn read(path: &Path) -> Result<BinaryFile, Failure> {
    let file = BinaryFile::read(path)?;
    let image = file.image()?;
    file.placement(&image)?;
    drop(image);
    Ok(file)
}

/// Extracts, selects and stores the blocks of one program.
fn target(
    app: &App<'_>,
    args: &CheckArgs,
    database: &StoreHandle,
    file: BinaryFile,
) -> Result<Target, Failure> {
    let image = file.image()?;
    let progress = app.printer.progress("extracting", None);
    progress.say(file.path());
    let index = extract(&image);
    let selection = choose(app, &index, &args.filter, &args.select, args.run.seed, &file)?;
    let blocks: Vec<Block> = selection
        .numbers
        .iter()
        .filter_map(|&number| index.get(number))
        .collect();
    app.printer.note(format_args!(
        "{}: {}, {} selected",
        file.path(),
        several(index.len() as u64, "block"),
        report::grouped(blocks.len() as u64)
    ));
    if args.select.selection_report && app.format == Format::Human {
        let report = report::selection::text(&selection.report, app.printer.width());
        app.printer.text(format_args!("{report}\n"))?;
    }
    progress.say(format_args!("{}: storing", file.path()));
    let (added, blocks) = if blocks.is_empty() {
        (None, blocks)
    } else {
        let (added, blocks) = store(database, &file.describe(&image), blocks)?;
        (Some(added), blocks)
    };
    drop(progress);
    // The place in the program's own list does not depend on the selection.
    let places = selection.numbers.iter().map(|&place| place as u64);
    let report = args
        .select
        .selection_report
        .then(|| SelectionView::new(&selection.report, &stored_as(&selection, added.as_ref())));
    let blocks: Vec<_> = added
        .into_iter()
        .flat_map(|added| added.numbers)
        .zip(places)
        .zip(blocks)
        .map(|((number, place), block)| (number, place, block))
        .collect();
    drop(index);
    drop(image);
    Ok(Target {
        selection: report,
        ..Target::new(Source::File(file), blocks, args.run.partition)
    })
}
