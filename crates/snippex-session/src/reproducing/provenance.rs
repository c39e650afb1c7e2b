//! Where a case comes from and what it ran on, in lines for the head of a reproducer.

use std::path::Path;

use snippex_store::{Binary, Host, StoredBlock};

use crate::{BinaryFile, BlockSource, read_stored_path};

/// The place of a block: its file with the function, or the request that made it.
pub(super) fn describe_block_location(block: &StoredBlock, binary: &Binary) -> String {
    let of = &binary.binary;
    let address = block.block.address;
    if BlockSource::is_generated(of) {
        return format!("Block at {address:#x} of {}.", of.name);
    }
    let function = function(&read_stored_path(&of.path), &of.sha256, address)
        .map_or_else(String::new, |function| format!(", in {function}"));
    format!(
        "Block at {address:#x} of {} (SHA-256 {}){function}.",
        of.path, of.sha256
    )
}

/// The function that `address` lies in and how far, when the file is still the one that was read and names it.
fn function(path: &Path, sha256: &str, address: u64) -> Option<String> {
    let file = BinaryFile::read_file(path).ok()?;
    if file.sha256() != sha256 {
        return None;
    }
    let image = file.parse_image().ok()?;
    let symbol = image.symbol_at(address)?;
    let name = String::from_utf8_lossy(symbol.name);
    Some(match address - symbol.address {
        0 => name.into_owned(),
        distance => format!("{name}+{distance:#x}"),
    })
}

/// The machine.
pub(super) fn describe_host(host: &Host) -> String {
    format!(
        "Host: {}, {}, {}, pages of {} bytes.",
        host.cpu_model, host.architecture, host.kernel, host.page_size
    )
}

/// An engine with its version and what else decides what it computes.
pub(super) fn describe_engine(name: &str, version: &str, configuration: &[String]) -> String {
    let configuration = match configuration {
        [] => String::new(),
        parts => format!(" as {}", parts.join("; ")),
    };
    format!("Engine: {name} ({version}){configuration}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_with_all_that_decides_what_it_computes() {
        assert_eq!(
            describe_engine(
                "fex-emu/one",
                "FEX-2608",
                &["FEX {runner}".into(), "FEX_MAXINST=1".into()]
            ),
            "Engine: fex-emu/one (FEX-2608) as FEX {runner}; FEX_MAXINST=1."
        );
        assert_eq!(describe_engine("mock", "1", &[]), "Engine: mock (1).");
    }

    #[test]
    fn a_file_that_has_changed_names_no_function() {
        assert_eq!(function(Path::new("/bin/sh"), "0", 0x1000), None);
        assert_eq!(function(Path::new("/nowhere"), "0", 0x1000), None);
    }
}
