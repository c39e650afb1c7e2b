//! The pages about commands, from what the programs themselves say: `--help` of each command at any depth.

use std::path::Path;
use std::process::Command;

use crate::{Failure, dist, shell};

/// Writes a page a program.
pub(super) fn write_pages(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in dist::PROGRAMS {
        let mut page = format!("# {name}\n\nWhat `{name} --help` and the help of each command print.\n");
        describe(&shell::target().join("debug").join(name), &[name], &mut page)?;
        let path = folder.join(format!("{name}.md"));
        std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn describe(program: &Path, words: &[&str], page: &mut String) -> Result<(), Failure> {
    let help = shell::capture(
        Command::new(program)
            .args(&words[1..])
            .arg("--help")
            .env("COLUMNS", "100"),
    )?;
    page.push_str(&format!(
        "\n## {}\n\n```text\n{}\n```\n",
        words.join(" "),
        help.trim_end()
    ));
    for command in commands(&help) {
        describe(program, &[words, &[command]].concat(), page)?;
    }
    Ok(())
}

/// The commands that a help text lists, but for `help` itself.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        // What a command does may go on in a line that is set in further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_help() {
        let help = "What it does\n\nUsage: x <COMMAND>\n\nCommands:\n  check    Runs\n           and compares\n  bugs     Lists\n  help     Print this\n\nOptions:\n  -h  x\n";
        assert_eq!(commands(help), ["check", "bugs"]);
        assert!(commands("Usage: x\n").is_empty());
    }
}
