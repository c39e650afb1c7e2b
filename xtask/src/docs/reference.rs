//! The pages that are made: about commands, from what the programs themselves say (`--help` of each command at any depth), and about
//! the JSON that they write, from its schemas.

use std::path::Path;
use std::process::Command;

use crate::{Failure, dist, shell};

/// A schema: the name of its page, its title among the chapters, and where it stands in `docs`. `None` is what `snippex report schema`
/// prints.
const SCHEMAS: [(&str, &str, Option<&str>); 3] = [
    (
        "json-schema",
        "JSON of snippex's commands",
        Some("json.schema.json"),
    ),
    ("export-schema", "JSON of exports", Some("export.schema.json")),
    ("report-schema", "JSON of reports, and fields of templates", None),
];

/// The lines of the list of chapters for these pages.
pub(super) fn chapters() -> String {
    let programs = dist::PROGRAMS.map(|name| format!("- [{name}](reference/{name}.md)\n"));
    let schemas = SCHEMAS.map(|(name, title, _)| format!("- [{title}](reference/{name}.md)\n"));
    programs.into_iter().chain(schemas).collect()
}

/// Writes a page a program and a page a schema.
pub(super) fn write_pages(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in dist::PROGRAMS {
        let mut page = format!("# {name}\n\nWhat `{name} --help` and the help of each command print.\n");
        describe(&shell::target().join("debug").join(name), &[name], &mut page)?;
        let path = folder.join(format!("{name}.md"));
        std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for (name, _, file) in SCHEMAS {
        let schema = match file {
            Some(file) => shell::root().join("docs").join(file),
            None => {
                let program = shell::target().join("debug/snippex");
                let printed = shell::capture(Command::new(program).args(["report", "schema"]))?;
                let path = shell::target()
                    .join("xtask-tools")
                    .join(name)
                    .with_extension("json");
                std::fs::write(&path, printed).map_err(|error| format!("{}: {error}", path.display()))?;
                path
            }
        };
        let script = shell::root().join("xtask/docs/schema_page.py");
        let page = shell::capture(Command::new("python3").arg(script).arg(schema))?;
        let path = folder.join(name).with_extension("md");
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
