//! What an image is for people: its systems, their packages, its programs by architecture.

use std::collections::BTreeMap;

use crate::image::{Image, ImageFile};
use crate::program::ProgramKind;

/// An operating system in an image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct System {
    /// Names of the layers around its root file system; empty where there is one only.
    pub volume: String,
    /// What it calls itself: `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// Packages by the tool that installed them: `dpkg`, `apk`, `pacman`; `rpm` without a count, because its database is not read.
    pub packages: BTreeMap<&'static str, Option<u64>>,
}

/// A program of an image.
#[derive(Clone, Debug)]
pub struct ImageProgram {
    /// The file.
    pub file: ImageFile,
    /// What it is made for.
    pub kind: ProgramKind,
}

/// Bytes of a package database; a full desktop has 20 MB.
const MAX_DATABASE: u64 = 256 << 20;
const MAX_RELEASE: u64 = 64 << 10;

impl Image {
    /// The systems in it, one for each file system with an `os-release`.
    #[must_use]
    pub fn list_systems(&self) -> Vec<System> {
        let files = self.list_files();
        let mut volumes: Vec<&str> = files.iter().map(|file| file.volume.as_str()).collect();
        volumes.dedup();
        volumes
            .into_iter()
            .filter_map(|volume| self.system_of(volume, &files))
            .collect()
    }

    fn system_of(&self, volume: &str, files: &[ImageFile]) -> Option<System> {
        let here = || files.iter().filter(move |file| file.volume == volume);
        let read = |path: &str, most: u64| {
            let file = here().find(|file| file.path == path)?;
            self.read_head(file, most).ok()
        };
        let release =
            read("/usr/lib/os-release", MAX_RELEASE).or_else(|| read("/etc/os-release", MAX_RELEASE))?;
        let release = String::from_utf8_lossy(&release).into_owned();
        let field = |name: &str| {
            let line = release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(line.trim().trim_matches('"').to_owned())
        };
        let mut packages = BTreeMap::new();
        let count_lines = |text: &[u8], begins: &str| {
            let text = String::from_utf8_lossy(text);
            text.lines().filter(|line| line.starts_with(begins)).count() as u64
        };
        if let Some(status) = read("/var/lib/dpkg/status", MAX_DATABASE) {
            packages.insert("dpkg", Some(count_lines(&status, "Status: install ok installed")));
        }
        if let Some(installed) = read("/lib/apk/db/installed", MAX_DATABASE) {
            packages.insert("apk", Some(count_lines(&installed, "P:")));
        }
        let is_described = |file: &&ImageFile| {
            file.path.starts_with("/var/lib/pacman/local/") && file.path.ends_with("/desc")
        };
        let described = here().filter(is_described).count() as u64;
        if described > 0 {
            packages.insert("pacman", Some(described));
        }
        let folders = ["/var/lib/rpm/", "/usr/lib/sysimage/rpm/"];
        if here().any(|file| folders.iter().any(|folder| file.path.starts_with(folder))) {
            packages.insert("rpm", None);
        }
        Some(System {
            volume: volume.to_owned(),
            name: field("PRETTY_NAME")
                .or_else(|| field("NAME"))
                .unwrap_or_else(|| "without a name".to_owned()),
            packages,
        })
    }

    /// The programs and libraries among `files`, by their first bytes; with those that cannot be read.
    ///
    /// A file that its file system calls not executable, and whose name is not that of a library or a Windows program, is not looked
    /// at: reading the first bytes of everything would unpack most of a compressed image.
    #[must_use]
    pub fn find_programs(&self, files: &[ImageFile]) -> (Vec<ImageProgram>, Vec<String>) {
        let mut programs = Vec::new();
        let mut problems = Vec::new();
        for file in files.iter().filter(|file| may_be_program(file)) {
            match self.read_head(file, ProgramKind::HEAD) {
                Ok(head) => {
                    let kind = ProgramKind::from_head(&head);
                    programs.extend(kind.map(|kind| ImageProgram {
                        file: file.clone(),
                        kind,
                    }));
                }
                Err(error) => problems.push(format!("{}: {error}", file.full_path())),
            }
        }
        (programs, problems)
    }
}

fn may_be_program(file: &ImageFile) -> bool {
    const ENDINGS: [&str; 6] = [".so", ".exe", ".dll", ".sys", ".efi", ".ko"];
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let named_so = ENDINGS.iter().any(|ending| name.ends_with(ending)) || name.contains(".so.");
    // The smallest ELF header.
    file.size >= 52 && (file.executable != Some(false) || named_so)
}
