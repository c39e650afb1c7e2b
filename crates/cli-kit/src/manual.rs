//! Manual pages, made of what clap knows of a command line.

use std::io;

use clap::Command;
use clap_mangen::Man;

/// The manual pages of a program, its own first, then one for each of its commands at any depth: the name of the file
/// (`snippex-bugs-known.1`) and its text in roff.
///
/// # Errors
///
/// Whatever the renderer fails with.
pub fn manual_pages(mut program: Command) -> io::Result<Vec<(String, String)>> {
    // Gives the commands their full names.
    program.build();
    let mut pages = Vec::new();
    let mut open = vec![program];
    while let Some(command) = open.pop() {
        let name = command
            .get_display_name()
            .unwrap_or(command.get_name())
            .to_owned();
        let below = command
            .get_subcommands()
            .filter(|below| below.get_name() != "help");
        open.extend(below.cloned());
        let mut text = Vec::new();
        Man::new(command).render(&mut text)?;
        pages.push((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()));
    }
    pages[1..].sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_under_its_full_name() {
        let inner = Command::new("known").subcommand(Command::new("add"));
        let program = Command::new("tool")
            .subcommand(Command::new("list"))
            .subcommand(inner);
        let names: Vec<String> = manual_pages(program)
            .unwrap()
            .into_iter()
            .map(|page| page.0)
            .collect();
        assert_eq!(
            names,
            ["tool.1", "tool-known-add.1", "tool-known.1", "tool-list.1"]
        );
    }
}
