//! Stored blocks by what the user types.

use cli_kit::Failure;
use snippex_store::{Binary, BinaryId, BlockNumber, Selection, StoreHandle, StoredBlock};

use crate::tell::OrTell;

const PAGE: u32 = 20_000;

/// The binary that a user names: by name, path or the beginning of its SHA-256.
pub(crate) fn find_binary(store: &StoreHandle, named: &str) -> Result<Binary, Failure> {
    let mut binaries = store.call(async |store| store.binaries().await).or_tell()?;
    let exact = |binary: &Binary| binary.binary.name == named || binary.binary.path == named;
    let digits = named.len() >= 4 && named.bytes().all(|byte| byte.is_ascii_hexdigit());
    if binaries.iter().any(exact) {
        binaries.retain(exact);
    } else {
        binaries.retain(|binary| digits && binary.binary.sha256.starts_with(&named.to_lowercase()));
    }
    match binaries.len() {
        1 => Ok(binaries.remove(0)),
        0 => Err(
            Failure::new(format!("there is no binary called {named} in the database"))
                .hint("see `snippex list --binaries`, or run `snippex extract` on it first"),
        ),
        _ => {
            let shas: Vec<&str> = binaries
                .iter()
                .map(|binary| &binary.binary.sha256[..12])
                .collect();
            Err(
                Failure::new(format!("several binaries are called {named}")).hint(format!(
                    "name one by the beginning of its SHA-256: {}",
                    shas.join(", ")
                )),
            )
        }
    }
}

/// The binary that a selection is about, `None` for all of them: the named one; else the most recent one if the
/// selection has no end.
pub(crate) fn scope(
    store: &StoreHandle,
    selection: &Selection,
    named: Option<&str>,
) -> Result<Option<BinaryId>, Failure> {
    if let Some(named) = named {
        return Ok(Some(find_binary(store, named)?.id));
    }
    let open = selection.ranges().any(|(_, last)| last.0 == i64::MAX);
    if !open {
        return Ok(None);
    }
    let binaries = store.call(async |store| store.binaries().await).or_tell()?;
    // A binary whose blocks were all removed is no answer.
    match binaries.iter().rfind(|binary| binary.blocks > 0) {
        Some(latest) => Ok(Some(latest.id)),
        None => {
            Err(Failure::new("there are no blocks in the database")
                .hint("run `snippex extract BINARY` first"))
        }
    }
}

/// The next page of selected blocks above `after`; empty at the end.
pub(crate) fn page(
    store: &StoreHandle,
    selection: &Selection,
    binary: Option<BinaryId>,
    after: Option<BlockNumber>,
) -> Result<Vec<StoredBlock>, Failure> {
    let selection = selection.clone();
    store
        .call(async move |store| store.blocks(&selection, binary, after, PAGE).await)
        .or_tell()
}

/// All selected blocks.
pub(crate) fn load(
    store: &StoreHandle,
    selection: &Selection,
    named: Option<&str>,
) -> Result<Vec<StoredBlock>, Failure> {
    let binary = scope(store, selection, named)?;
    let mut blocks: Vec<StoredBlock> = Vec::new();
    loop {
        let next = page(store, selection, binary, blocks.last().map(|block| block.number))?;
        if next.is_empty() {
            break;
        }
        blocks.extend(next);
    }
    if blocks.is_empty() {
        let of = named.map_or_else(String::new, |named| format!(" of {named}"));
        let what = if *selection == Selection::all() {
            "are no blocks".to_owned()
        } else {
            format!("is no block {selection}")
        };
        return Err(Failure::new(format!("there {what}{of} in the database"))
            .hint("see `snippex list` and `snippex list --binaries` for what is there"));
    }
    Ok(blocks)
}
