//! Programs that a command cannot do without, installed from the distribution when they are missing.
//!
//! As `cargo xtask demo` does it: the command is said before it runs, as root or by sudo, and `--no-install` refuses.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use cli_kit::{Failure, OrFail, Printer};

/// Whether there is such a program on the PATH.
pub(crate) fn is_program_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The package that brings a program.
fn package(program: &str) -> &str {
    match program {
        "ld" => "binutils",
        other => other,
    }
}

/// Sees to it that every one of `programs` is there; installs those that are missing, if that is `allowed`.
pub(crate) fn ensure_programs_installed(
    printer: &Printer,
    programs: &[&str],
    allowed: bool,
) -> Result<(), Failure> {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| !is_program_on_path(program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|program| package(program)).collect();
    let names = missing.join(" and ");
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let absent = format!("{names} {verb} not on the PATH");
    let them = if missing.len() == 1 { "it" } else { "them" };
    let by_hand = format!("install {them} (apt-get install {})", packages.join(" "));
    if !allowed {
        return Err(Failure::new(absent).hint(format!("{by_hand}, or leave --no-install out")));
    }
    let Some(start) = start(
        is_root(),
        is_program_on_path("apt-get"),
        is_program_on_path("sudo"),
    ) else {
        return Err(Failure::new(absent).hint(format!(
            "{by_hand}, as root or with the system's own package manager"
        )));
    };
    printer.print_note(format_args!("{absent}: installing"));
    // Lists of packages may be old: then the first attempt fails, and they are fetched.
    let install = ["install", "--yes", "--no-install-recommends"].map(String::from);
    let install: Vec<String> = install
        .into_iter()
        .chain(packages.iter().map(|name| (*name).to_owned()))
        .collect();
    let done = apt_get(printer, &start, &install)?
        || apt_get(printer, &start, &["update".to_owned()])? && apt_get(printer, &start, &install)?;
    if !done {
        return Err(Failure::new(format!("{absent}, and cannot be installed"))
            .hint(format!("see what apt-get says above; {by_hand} by hand")));
    }
    match missing.into_iter().find(|program| !is_program_on_path(program)) {
        None => Ok(()),
        Some(program) => Err(
            Failure::new(format!("{program} is not on the PATH after its installation"))
                .hint("add the folder it was installed in to PATH"),
        ),
    }
}

/// What stands before the arguments of apt-get; `None` where it cannot be used.
fn start(is_root: bool, has_apt_get: bool, has_sudo: bool) -> Option<Vec<&'static str>> {
    const QUIET: &str = "DEBIAN_FRONTEND=noninteractive";
    match (has_apt_get, is_root, has_sudo) {
        (true, true, _) => Some(vec!["/usr/bin/env", QUIET, "apt-get"]),
        (true, false, true) => Some(vec!["sudo", "/usr/bin/env", QUIET, "apt-get"]),
        _ => None,
    }
}

/// Runs apt-get, which may ask for a password but writes nothing to our answer. Whether it succeeded.
fn apt_get(printer: &Printer, start: &[&str], arguments: &[String]) -> Result<bool, Failure> {
    let words: Vec<OsString> = start
        .iter()
        .map(OsString::from)
        .chain(arguments.iter().map(OsString::from))
        .collect();
    let shown: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    printer.print_note(format_args!("$ {}", shown.join(" ")));
    let status = Command::new(&words[0])
        .args(&words[1..])
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .or_fail_with(|| format!("cannot start {}", shown[0]))?;
    Ok(status.success())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_get_runs_as_root_or_by_sudo_or_not_at_all() {
        assert_eq!(start(true, true, false).unwrap()[0], "/usr/bin/env");
        assert_eq!(start(false, true, true).unwrap()[0], "sudo");
        assert_eq!(start(false, true, false), None);
        assert_eq!(start(true, false, true), None);
    }
}
