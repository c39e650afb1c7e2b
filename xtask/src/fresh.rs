//! `cargo xtask fresh SUITE... [-- COMMAND]`: run a command on a system that was just installed.
//!
//! debootstrap makes a root of Debian or Ubuntu with what README.md asks for: git and a C compiler. The Rust toolchain, the
//! downloaded crates and this workspace are mounted into it, all read-only; what is built goes into the root. Without a
//! command that is `cargo xtask install`. The mounts are in a namespace of their own and end with the command. It needs
//! root and the network, so no test runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{Failure, install, shell};

/// A system that can be made. `script` is debootstrap's, for suites that are newer than it is.
struct Suite {
    name: &'static str,
    script: &'static str,
    components: &'static str,
    keyring: &'static str,
}

const SUITES: &[Suite] = &[
    debian("bookworm"),
    debian("trixie"),
    Suite {
        name: "noble",
        script: "gutsy",
        components: "main,universe",
        keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    },
];

const fn debian(name: &'static str) -> Suite {
    Suite {
        name,
        script: "sid",
        components: "main",
        keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    }
}

/// What README.md asks for beside Rust.
pub(crate) const PACKAGES: &str = "git,gcc,libc6-dev,ca-certificates";

/// Mounts, then enters. Arguments: root, toolchain, crates, workspace, command and its arguments.
const ENTER: &str = r#"
root=$1 toolchain=$2 crates=$3 workspace=$4; shift 4
place() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,ro,bind "$root$2"; }
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
place "$toolchain" /opt/rust
place "$crates" /opt/cargo/registry
place "$workspace" /opt/workspace
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 CARGO_HOME=/opt/cargo CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=/build \
    PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    sh -c 'cd /opt/workspace && exec "$@"' sh "$@"
"#;

const USAGE: &str = "give one or more of bookworm, trixie, noble; --unsigned takes packages of a system whose key is not \
                     installed here; a command may follow behind `--`";

/// Makes the named systems, one after another, and runs the command in each.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (names, command) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let unsigned = names.iter().any(|name| name == "--unsigned");
    let suites = chosen(names)?;
    if !shell::is_root() {
        return Err("this needs root, for debootstrap and for mounts".into());
    }
    install::install(install::FRESH)?;
    shell::run(&mut shell::cargo(["fetch", "--locked"]))?;
    for suite in suites {
        println!("\n== {}", suite.name);
        let root = make(suite, suite.name, PACKAGES, unsigned)?;
        let ended = enter(&root, command);
        remove_root(&root)?;
        ended?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Suite>, Failure> {
    let names: Vec<&String> = names.iter().filter(|name| *name != "--unsigned").collect();
    let suites: Option<Vec<_>> = names
        .iter()
        .map(|name| SUITES.iter().find(|suite| suite.name == **name))
        .collect();
    suites
        .filter(|suites| !suites.is_empty())
        .ok_or_else(|| USAGE.into())
}

/// A new root of a suite with nothing but `packages` beside what is essential, below `target/xtask-roots`.
pub(crate) fn make_root(suite: &str, folder: &str, packages: &str) -> Result<PathBuf, Failure> {
    let found = SUITES.iter().find(|known| known.name == suite);
    make(found.ok_or(USAGE)?, folder, packages, false)
}

/// A new root, in place of one that an earlier run left.
fn make(suite: &Suite, folder: &str, packages: &str, unsigned: bool) -> Result<PathBuf, Failure> {
    let root = shell::target().join("xtask-roots").join(folder);
    remove_root(&root)?;
    std::fs::create_dir_all(&root).map_err(|error| format!("cannot make {}: {error}", root.display()))?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--components={}", suite.components)]);
    if !packages.is_empty() {
        command.arg(format!("--include={packages}"));
    }
    if Path::new(suite.keyring).exists() {
        command.arg(format!("--keyring={}", suite.keyring));
    } else if unsigned {
        command.arg("--no-check-gpg");
    } else {
        return Err(format!(
            "{} is missing, so packages cannot be checked; install the keyring, or give --unsigned",
            suite.keyring
        ));
    }
    // The empty word stands for the mirror that debootstrap's script names.
    command.arg(suite.name).arg(&root).args(["", suite.script]);
    shell::run(&mut command)?;
    Ok(root)
}

/// Runs a command in a root; without one `cargo xtask install`.
pub(crate) fn enter(root: &Path, command: &[String]) -> Result<(), Failure> {
    let toolchain = shell::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or("neither CARGO_HOME nor HOME is set")?;
    let mut inside = Command::new("unshare");
    inside.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-eu",
        "-c",
        ENTER,
        "sh",
    ]);
    inside
        .arg(root)
        .arg(toolchain.trim())
        .arg(home.join("registry"))
        .arg(shell::root());
    if command.is_empty() {
        inside.args(["cargo", "xtask", "install"]);
    } else {
        inside.args(command);
    }
    // The whole command line has the script in it.
    println!(
        "$ chroot {} {}",
        root.display(),
        if command.is_empty() {
            "cargo xtask install".into()
        } else {
            command.join(" ")
        }
    );
    let status = inside
        .status()
        .map_err(|error| format!("cannot start unshare: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the command in {} ended with {status}", root.display()))
    }
}

/// Deletes a root, unless something is still mounted below it.
pub(crate) fn remove_root(root: &Path) -> Result<(), Failure> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")
        .map_err(|error| format!("cannot read the mounts: {error}"))?;
    if has_mount_below(&mounts, root) {
        return Err(format!(
            "something is mounted below {}: unmount it first",
            root.display()
        ));
    }
    match std::fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot delete {}: {error}", root.display()))
        }
        _ => Ok(()),
    }
}

fn has_mount_below(mounts: &str, root: &Path) -> bool {
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .any(|place| Path::new(place).starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_name_and_others_refused() {
        let names = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            chosen(&list).map(|suites| suites.iter().map(|suite| suite.name).collect::<Vec<_>>())
        };
        assert_eq!(
            names(&["trixie", "--unsigned", "noble"]).unwrap(),
            ["trixie", "noble"]
        );
        assert!(names(&[]).is_err());
        assert!(names(&["trixie", "sarge"]).unwrap_err().contains("bookworm"));
    }

    #[test]
    fn a_root_with_a_mount_in_it_is_not_deleted() {
        let mounts = "/dev/vda / ext4 rw 0 0\nproc /work/roots/trixie/proc proc rw 0 0\n";
        assert!(has_mount_below(mounts, Path::new("/work/roots/trixie")));
        assert!(!has_mount_below(mounts, Path::new("/work/roots/trix")));
        assert!(!has_mount_below(mounts, Path::new("/work/roots/noble")));
    }
}
