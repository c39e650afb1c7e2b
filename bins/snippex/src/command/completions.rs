//! `snippex completions`: what a shell needs to complete the command line.
//!
//! The script asks the program itself for candidates, so that engines, bugs and blocks complete by the names they have
//! at that moment; `completing` answers.

use clap_complete::env::Shells;
use cli_kit::{ExitStatus, Failure, OrFail};

use crate::app::App;
use crate::args::CompletionsArgs;
use crate::completing::VARIABLE;

pub(crate) fn run(app: &App<'_>, args: &CompletionsArgs) -> Result<ExitStatus, Failure> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell)
        .expect("clap takes the names of these shells only");
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "snippex", "snippex", "snippex", &mut script)
        .or_fail("cannot write the completions")?;
    app.printer.print_text(String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::NothingFound)
}
