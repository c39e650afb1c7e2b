//! `cargo xtask docs`: the documentation as a site, in `target/docs-site`.
//!
//! ```text
//! docs/*.md, README.md, ... --book--> target/xtask-tools/book --mdbook--> site --links--> every link leads somewhere
//! --help of the programs --reference--> its pages        tutorials --tutorials--> every command does what is shown
//! ```
//!
//! `--no-tutorials` leaves the last part out, `--only-tutorials` does nothing else, with the programs that are built.

mod book;
mod links;
mod reference;
mod tutorials;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::{Failure, install, shell, tools};

/// Makes and checks the site.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    install::install(install::DOCS)?;
    match arguments {
        [] => check(true)?,
        [one] if one == "--no-tutorials" => check(false)?,
        [one] if one == "--only-tutorials" => tutorials::try_all()?,
        _ => return Err("known are the options --no-tutorials and --only-tutorials".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the site; fails when a link leads nowhere, or a tutorial does not do what it shows.
pub(crate) fn check(tries_tutorials: bool) -> Result<(), Failure> {
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--bins",
        // With them the features are those that tests are built with, and little is built anew.
        "--examples",
    ]))?;
    let folder = shell::target().join("xtask-tools/book");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let source = folder.join("src");
    book::put_together(&source)?;
    reference::write_pages(&source.join("reference"))?;
    shell::copy_files(&shell::root().join("docs"), &folder, &["book.toml"])?;
    let site = site_folder();
    let mut mdbook = Command::new(tools::mdbook()?);
    shell::run(mdbook.arg("build").arg(&folder).arg("--dest-dir").arg(&site))?;
    links::check_site(&site)?;
    if tries_tutorials {
        tutorials::try_all()?;
    }
    println!("\n{}", site.join("index.html").display());
    Ok(())
}

fn site_folder() -> PathBuf {
    shell::target().join("docs-site")
}
