//! Which files are tests, and what each is called.

use std::fs;
use std::path::{Path, PathBuf};

use cli_kit::{Failure, OrFail};
use walkdir::WalkDir;

/// A file that is a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestFile {
    /// Its path below the folder that was named, or the name of the file that was.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl TestFile {
    /// Whether it is a `.snip` file.
    pub(crate) fn is_case(&self) -> bool {
        has_extension(&self.path, "snip")
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// The tests that `paths` name: files, and every `.asm` and `.snip` file below folders, in the order of their names.
pub(crate) fn find_test_files(paths: &[PathBuf]) -> Result<Vec<TestFile>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).or_fail_with(|| format!("cannot read {}", path.display()))?;
        if !metadata.is_dir() {
            let name = path.file_name().unwrap_or(path.as_os_str());
            found.push(TestFile {
                name: name.to_string_lossy().into_owned(),
                path: path.clone(),
            });
            continue;
        }
        let before = found.len();
        add_tests_below(path, &mut found)?;
        if found.len() == before {
            return Err(Failure::new(format!("there is no test below {}", path.display()))
                .hint("tests are files called *.asm or *.snip"));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn add_tests_below(root: &Path, found: &mut Vec<TestFile>) -> Result<(), Failure> {
    for entry in WalkDir::new(root) {
        let entry = entry.or_fail_with(|| format!("cannot read {}", root.display()))?;
        let path = entry.path();
        // Links to folders are not followed: they may lead in a circle. One that leads nowhere is a broken test.
        let kind = entry.file_type();
        let may_be_test = kind.is_file() || kind.is_symlink() && !path.is_dir();
        if may_be_test && (has_extension(path, "asm") || has_extension(path, "snip")) {
            let name = path.strip_prefix(root).unwrap_or(path);
            found.push(TestFile {
                name: name.to_string_lossy().into_owned(),
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

/// Folders in which nasm looks for `%include`: those given, that of the file, and any `Includes` next to the file or
/// above it.
pub(crate) fn include_folders(file: &Path, given: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders = given.to_vec();
    let absolute = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    for (index, folder) in absolute.ancestors().skip(1).enumerate() {
        if index == 0 {
            folders.push(folder.to_owned());
        }
        let includes = folder.join("Includes");
        if includes.is_dir() {
            folders.push(includes);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_folder_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/Includes")).unwrap();
        for file in ["b/two.asm", "a.asm", "b/Includes/x.mac", "readme"] {
            fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("a.asm"), root.join("link.asm")).unwrap();
        std::os::unix::fs::symlink("gone", root.join("lost.snip")).unwrap();
        let names: Vec<_> = find_test_files(&[root.to_owned()])
            .unwrap()
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["a.asm", "b/two.asm", "link.asm", "lost.snip"]);
        let file = root.join("b/two.asm");
        assert_eq!(
            find_test_files(std::slice::from_ref(&file)).unwrap()[0].name,
            "two.asm"
        );
        assert!(
            include_folders(&file, &[])
                .iter()
                .any(|folder| folder.ends_with("b/Includes"))
        );
        assert!(
            find_test_files(&[root.join("b/Includes")]).is_err()
                && find_test_files(&[root.join("none")]).is_err()
        );
    }
}
