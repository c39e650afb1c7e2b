//! `snippex validate`: stored blocks on an emulator and on the reference.

use cli_kit::{ExitStatus, Failure};
use snippex_session::{CheckTarget, stored_targets};

use crate::app::App;
use crate::args::ValidateArgs;
use crate::checking;
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, args: &ValidateArgs) -> Result<ExitStatus, Failure> {
    let database = app.existing_store()?;
    let stored =
        stored_targets(&database, &args.blocks.selection, args.blocks.binary.as_deref()).or_user_error()?;
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let targets = stored.into_iter().map(CheckTarget::Stored);
    checking::check_and_print(app, &database, "validate", &engines, &args.run, targets, false)
}
