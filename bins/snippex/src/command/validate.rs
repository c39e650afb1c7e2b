//! `snippex validate`: stored blocks on an emulator and on the reference.

use cli_kit::{ExitStatus, Failure};
use snippex_session::{Subject, blocks_by_binary, load_blocks, source_of_binary};

use crate::app::App;
use crate::args::ValidateArgs;
use crate::checking;
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, args: &ValidateArgs) -> Result<ExitStatus, Failure> {
    let database = app.existing_store()?;
    let stored =
        load_blocks(&database, &args.blocks.selection, args.blocks.binary.as_deref()).or_user_error()?;
    let engines = checking::start_engines(app, &args.engine)?;
    let subjects = blocks_by_binary(stored)
        .into_iter()
        .map(|(binary, blocks)| {
            let source = source_of_binary(&database, binary).or_user_error()?;
            Ok(Subject::Stored(source, blocks))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    checking::run(app, &database, "validate", &engines, &args.run, subjects, false)
}
