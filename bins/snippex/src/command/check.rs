//! `snippex check`: the whole pipeline on programs.

use std::path::Path;

use cli_kit::{ExitStatus, Failure, Format};
use snippex_core::block::Block;
use snippex_core::extract::extract;
use snippex_store::StoreHandle;

use super::extract::{choose, store};
use crate::app::App;
use crate::args::CheckArgs;
use crate::binary_file::BinaryFile;
use crate::checking::{self, Engines, Target};
use crate::generating::{self, Generated};
use crate::source::Source;
use crate::tell::OrTell;
use crate::view::{self, several};

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
    let files = args
        .binaries
        .iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let engines = Engines::start(app, &args.engine)?;
    let database = app.open_store()?;
    let targets = files
        .into_iter()
        .map(|file| target(app, args, &database, file))
        .collect::<Result<Vec<_>, _>>()?;
    checking::run(app, &database, "check", &engines, &args.run, &targets)
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
    checking::run(app, &database, "check", &engines, &args.run, &[target])
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
        view::grouped(blocks.len() as u64)
    ));
    if args.select.selection_report && app.format == Format::Human {
        let report = view::selection::text(&selection.report, app.printer.width());
        app.printer.text(format_args!("{report}\n"))?;
    }
    let (numbers, blocks) = if blocks.is_empty() {
        (Vec::new(), blocks)
    } else {
        let (added, blocks) = store(database, &file.describe(&image), blocks)?;
        (added.numbers, blocks)
    };
    // The place in the program's own list does not depend on the selection.
    let places = selection.numbers.iter().map(|&place| place as u64);
    let blocks: Vec<_> = numbers
        .into_iter()
        .zip(places)
        .zip(blocks)
        .map(|((number, place), block)| (number, place, block))
        .collect();
    drop(index);
    drop(image);
    Ok(Target::new(Source::File(file), blocks, args.run.partition))
}
