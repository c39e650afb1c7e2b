//! `man`: the manual pages.

use std::path::Path;

use clap::CommandFactory as _;
use cli_kit::manual_pages;

use super::{CommandError, print_line};
use crate::args::Cli;

/// Prints the program's page, or writes one file a command into a folder, which is made.
pub(super) fn print_or_write_pages(folder: Option<&Path>) -> Result<(), CommandError> {
    let pages = manual_pages(Cli::command())?;
    let Some(folder) = folder else {
        // The program's own is the first.
        return pages
            .iter()
            .take(1)
            .try_for_each(|(_, text)| print_line(format_args!("{}", text.trim_end())));
    };
    let failed = |error| CommandError::new(format!("cannot write into {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    pages
        .iter()
        .try_for_each(|(name, text)| std::fs::write(folder.join(name), text).map_err(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_file() {
        let folder = tempfile::tempdir().unwrap();
        print_or_write_pages(Some(&folder.path().join("man"))).unwrap();
        let page = std::fs::read_to_string(folder.path().join("man/regressd-token-create.1")).unwrap();
        assert!(page.contains(".TH regressd-token-create 1"), "{page}");
        let file = folder.path().join("man/regressd.1").join("x");
        assert!(
            print_or_write_pages(Some(&file))
                .unwrap_err()
                .0
                .contains("cannot write into")
        );
    }
}
