//! All code is decoded through `snippex_core::decode`: which mode it is in and whose processor reads it stands in one
//! place.

use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DOOR: &str = "crates/snippex-core/src/decode/mod.rs";

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder of sources is there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_but_the_decode_module_makes_a_decoder() {
    let mut files = Vec::new();
    for folder in ["crates", "bins"] {
        rust_files(&Path::new(ROOT).join(folder), &mut files);
    }
    let sources = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "src");
    let mut makers = Vec::new();
    for file in files.iter().filter(|file| sources(file)) {
        let text = std::fs::read_to_string(file).expect("sources are UTF-8");
        if text.contains("Decoder::with_ip(") || text.contains("iced_x86::Decoder::new(") {
            let name = file.strip_prefix(ROOT).expect("it is below the root");
            makers.push(name.display().to_string());
        }
    }
    assert_eq!(
        makers,
        [DOOR],
        "use snippex_core::decode::decoder or block_decoder"
    );
}
