//! The path of a file as text that the database can keep.
//!
//! A path that is UTF-8 is kept as it is. One that is not, or that would control a terminal, becomes a `file://` URL with its bytes percent-encoded, so
//! that the file is found again; an absolute path never begins like that.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use snippex_core::words::escape_control;

const SCHEME: &str = "file://";
/// What stands in a URL otherwise.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The text of an absolute path.
#[must_use]
pub fn write_stored_path(path: &Path) -> String {
    match path.to_str() {
        Some(text) if matches!(escape_control(text), Cow::Borrowed(_)) => text.to_owned(),
        _ => format!("{SCHEME}{}", percent_encode(path.as_os_str().as_bytes(), ENCODED)),
    }
}

/// The path that [`write_stored_path`] made `text` of.
#[must_use]
pub fn read_stored_path(text: &str) -> PathBuf {
    match text.strip_prefix(SCHEME) {
        Some(encoded) => OsString::from_vec(percent_decode_str(encoded).collect()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_again() {
        for (bytes, text) in [
            (&b"/bin/bash"[..], "/bin/bash"),
            ("/tmp/\u{e4} %41".as_bytes(), "/tmp/\u{e4} %41"),
            (b"/tmp/\xff %41/a-b", "file:///tmp/%FF%20%2541/a-b"),
            (b"/tmp/a\n\x1b[2J", "file:///tmp/a%0A%1B%5B2J"),
        ] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(write_stored_path(&path), text);
            assert_eq!(read_stored_path(text), path);
        }
    }
}
