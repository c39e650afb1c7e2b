//! The file of a baseline, as commands read and write it.

use std::fs;
use std::io;
use std::path::Path;

use cli_kit::{Failure, OrFail};
use snippex_session::Baseline;

/// Reads a baseline.
pub(crate) fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let text = fs::read_to_string(path)
        .or_fail_with(|| format!("cannot read the baseline {}", path.display()))
        .map_err(|failure| failure.hint("`snippex regression record` makes one; --baseline names another"))?;
    Baseline::parse(&text).map_err(|error| {
        Failure::with_cause(format!("{} is no baseline", path.display()), &error).hint(error.hint())
    })
}

/// Reads a baseline, or begins one where there is none.
pub(crate) fn read_or_begin(path: &Path) -> Result<Baseline, Failure> {
    if path.exists() {
        read_baseline(path)
    } else {
        Ok(Baseline::default())
    }
}

/// Writes beside the file and renames, so that nobody reads half of it.
pub(crate) fn write_baseline(path: &Path, baseline: &Baseline) -> Result<(), Failure> {
    let failed = || format!("cannot write the baseline {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).or_fail_with(failed)?;
    io::Write::write_all(&mut file, baseline.render_text().as_bytes()).or_fail_with(failed)?;
    if let Ok(metadata) = fs::metadata(path) {
        fs::set_permissions(file.path(), metadata.permissions()).or_fail_with(failed)?;
    } else {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file.path(), permissions).or_fail_with(failed)?;
    }
    file.persist(path)
        .map_err(|error| error.error)
        .or_fail_with(failed)?;
    Ok(())
}
