//! `snippex man`: the manual pages.

use std::fs;

use cli_kit::{ExitStatus, Failure, OrFail, manual_pages};

use crate::app::App;
use crate::args::{self, ManArgs};

pub(crate) fn run(app: &App<'_>, args: &ManArgs) -> Result<ExitStatus, Failure> {
    let pages = manual_pages(args::build_clap_command()).or_fail("cannot write the manual")?;
    let Some(directory) = &args.directory else {
        let (_, page) = pages.first().expect("the program itself has a page");
        app.printer.print_text(page)?;
        return Ok(ExitStatus::NothingFound);
    };
    fs::create_dir_all(directory).or_fail_with(|| format!("cannot make {}", directory.display()))?;
    for (name, page) in &pages {
        let file = directory.join(name);
        fs::write(&file, page).or_fail_with(|| format!("cannot write {}", file.display()))?;
    }
    Ok(ExitStatus::NothingFound)
}
