//! `snippex validate`: stored blocks on an emulator and on the reference.

use std::collections::BTreeMap;

use cli_kit::{ExitStatus, Failure};
use snippex_store::{BinaryId, StoreHandle, StoredBlock};

use crate::app::App;
use crate::args::ValidateArgs;
use crate::binary_file::BinaryFile;
use crate::blocks;
use crate::checking::{self, Engines, Target};
use crate::source::Source;
use crate::stored_path;
use crate::tell::OrTell;

pub(crate) fn run(app: &App<'_>, args: &ValidateArgs) -> Result<ExitStatus, Failure> {
    let database = app.existing_store()?;
    let stored = blocks::load(&database, &args.blocks.selection, args.blocks.binary.as_deref())?;
    let engines = Engines::start(app, &args.engine)?;
    let targets = by_binary(stored)
        .into_iter()
        .map(|(binary, blocks)| {
            let file = file_of(&database, binary)?;
            let blocks = blocks.into_iter().map(|stored| {
                let place = stored.number.0.unsigned_abs();
                (stored.number, place, stored.block)
            });
            Ok(Target::new(file, blocks, args.run.partition))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    checking::run(app, &database, "validate", &engines, &args.run, targets)
}

/// Blocks by the binary that they come from.
pub(super) fn by_binary(blocks: Vec<StoredBlock>) -> BTreeMap<BinaryId, Vec<StoredBlock>> {
    let mut binaries: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for block in blocks {
        binaries.entry(block.binary).or_default().push(block);
    }
    binaries
}

/// What stored blocks come from. Their memory is filled from the file, so it has to be the same to the byte.
pub(super) fn file_of(store: &StoreHandle, binary: BinaryId) -> Result<Source, Failure> {
    let binary = store
        .call(async move |store| store.binary(binary).await)
        .or_tell()?
        .binary;
    if Source::is_generated(&binary) {
        return Ok(Source::generated_as(binary.path));
    }
    let again = format!(
        "restore it, or run `snippex extract` on the file as it is now (blocks of {})",
        binary.name
    );
    let file = BinaryFile::read(&stored_path::read(&binary.path)).map_err(|failure| failure.hint(&again))?;
    if file.sha256() != binary.sha256 {
        return Err(Failure::new(format!(
            "{} has changed since its blocks were extracted",
            binary.path
        ))
        .hint(again));
    }
    Ok(Source::File(file))
}
