//! Packages of any Debian, unpacked below the target folder, whatever this machine runs.
//!
//! apt-get is given lists, a cache and an idea of what is installed that are kept there, too, so that nothing on the machine
//! changes and no root is needed. What is fetched is checked against Debian's keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, install, shell};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Packages of some suites of Debian, below a folder of the target folder.
pub(crate) struct DebianPackages {
    folder: PathBuf,
    configuration: PathBuf,
}

impl DebianPackages {
    /// Those of `suites` for `architectures`; `name` is that of the folder for what is unpacked.
    pub(crate) fn new(
        folder: &Path,
        name: &str,
        suites: &[&str],
        architectures: &[&str],
    ) -> Result<Self, Failure> {
        if shell::find("apt-get").is_none() || shell::find("dpkg-deb").is_none() {
            return Err(
                "packages of Debian are fetched and unpacked here with apt-get and dpkg-deb: install them"
                    .into(),
            );
        }
        if !Path::new(KEYRING).exists() {
            install::install_package("debian-archive-keyring")?;
        }
        let folder = folder.join(name);
        let at = |rest: &str| folder.join(rest);
        let failed = |error| format!("cannot prepare {}: {error}", folder.display());
        for part in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(at(part)).map_err(failed)?;
        }
        let configuration = at("apt.conf");
        let quoted = |path: &str| format!("\"{}\"", at(path).display());
        let architectures: String = architectures.iter().map(|name| format!("\"{name}\"; ")).collect();
        let text = format!(
            "Dir::State::lists {};\nDir::State::status {};\nDir::Cache {};\nDir::Etc::sourcelist {};\n\
             Dir::Etc::sourceparts \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\nAPT::Architectures {{{architectures}}};\n\
             APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n",
            quoted("lists"),
            quoted("status"),
            quoted("cache"),
            quoted("sources.list")
        );
        fs::write(&configuration, text).map_err(failed)?;
        fs::write(at("status"), "").map_err(failed)?;
        fs::write(at("sources.list"), sources(suites)).map_err(failed)?;
        let debian = Self {
            folder,
            configuration,
        };
        shell::run(debian.apt("apt-get").arg("update"))?;
        Ok(debian)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", &self.configuration)
            .current_dir(self.folder.join("packages"));
        command
    }

    /// `package` and what it depends on, as far as the names begin with one of `prefixes`; not what only those others need.
    pub(crate) fn list_dependencies(&self, package: &str, prefixes: &[&str]) -> Result<Vec<String>, Failure> {
        let mut needed = vec![package.to_owned()];
        let mut next = 0;
        while let Some(name) = needed.get(next) {
            let mut ask = self.apt("apt-cache");
            let said = shell::capture(ask.args(["depends", "--important", name]))?;
            let wanted = said
                .lines()
                .filter_map(|line| line.trim().strip_prefix("Depends: "));
            for name in wanted.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
                if !needed.iter().any(|known| known == name) {
                    needed.push(name.to_owned());
                }
            }
            next += 1;
        }
        Ok(needed)
    }

    /// Fetches packages and unpacks them into one folder.
    pub(crate) fn unpack_packages(&self, packages: &[String]) -> Result<PathBuf, Failure> {
        shell::run(self.apt("apt-get").arg("download").args(packages))?;
        let root = self.folder.join("root");
        let here = self.folder.join("packages");
        let list = fs::read_dir(&here).map_err(|error| format!("cannot read {}: {error}", here.display()))?;
        for file in list.filter_map(Result::ok) {
            shell::run(Command::new("dpkg-deb").arg("-x").arg(file.path()).arg(&root))?;
        }
        Ok(root)
    }
}

/// Lines for apt; security updates have an archive of their own.
fn sources(suites: &[&str]) -> String {
    suites
        .iter()
        .map(|suite| {
            let archive = if suite.ends_with("-security") {
                "debian-security"
            } else {
                "debian"
            };
            format!("deb [signed-by={KEYRING}] http://deb.debian.org/{archive} {suite} main\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_updates_come_from_their_own_archive() {
        let text = sources(&["bookworm", "bookworm-security"]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].ends_with("http://deb.debian.org/debian bookworm main"),
            "{text}"
        );
        assert!(lines[1].ends_with("http://deb.debian.org/debian-security bookworm-security main"));
    }
}
