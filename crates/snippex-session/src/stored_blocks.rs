//! Stored blocks by what the user types.

use snippex_core::block::Block;
use snippex_store::{Added, Binary, BinaryId, BlockNumber, NewBinary, Selection, StoreHandle, StoredBlock};

use crate::{BinaryFile, BlockSource, FileGone, SessionError, read_stored_path};

const PAGE: u32 = 20_000;

/// The binary that a user names: by name, path or the beginning of its SHA-256.
///
/// # Errors
/// When there is none, or more than one.
pub fn find_binary(store: &StoreHandle, named: &str) -> Result<Binary, SessionError> {
    let mut binaries = store.call_and_wait(async |store| store.list_binaries().await)?;
    let exact = |binary: &Binary| binary.binary.name == named || binary.binary.path == named;
    let digits = named.len() >= 4 && named.bytes().all(|byte| byte.is_ascii_hexdigit());
    if binaries.iter().any(exact) {
        binaries.retain(exact);
    } else {
        binaries.retain(|binary| digits && binary.binary.sha256.starts_with(&named.to_lowercase()));
    }
    match binaries.len() {
        1 => Ok(binaries.remove(0)),
        0 => Err(SessionError::UnknownBinary(named.to_owned())),
        _ => Err(SessionError::AmbiguousBinary {
            named: named.to_owned(),
            digests: binaries
                .iter()
                .map(|binary| binary.binary.sha256[..12].to_owned())
                .collect(),
        }),
    }
}

/// The binary that a selection is about, `None` for all of them: the named one; else the most recent one if the
/// selection has no end.
///
/// # Errors
/// When there is no such binary, or none at all.
pub fn scope_of_selection(
    store: &StoreHandle,
    selection: &Selection,
    named: Option<&str>,
) -> Result<Option<BinaryId>, SessionError> {
    if let Some(named) = named {
        return Ok(Some(find_binary(store, named)?.id));
    }
    let open = selection.ranges().any(|(_, last)| last.0 == i64::MAX);
    if !open {
        return Ok(None);
    }
    let binaries = store.call_and_wait(async |store| store.list_binaries().await)?;
    // A binary whose blocks were all removed is no answer.
    match binaries.iter().rfind(|binary| binary.blocks > 0) {
        Some(latest) => Ok(Some(latest.id)),
        None => Err(SessionError::NoBlocks),
    }
}

/// The next page of selected blocks above `after`; empty at the end.
///
/// # Errors
/// When the database cannot be read.
pub fn page_of_blocks(
    store: &StoreHandle,
    selection: &Selection,
    binary: Option<BinaryId>,
    after: Option<BlockNumber>,
) -> Result<Vec<StoredBlock>, SessionError> {
    let selection = selection.clone();
    Ok(store.call_and_wait(async move |store| store.list_blocks(&selection, binary, after, PAGE).await)?)
}

/// Blocks of one binary that the database has, before they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTarget {
    /// The binary that they are of.
    pub binary: BinaryId,
    /// Which of its blocks.
    pub selection: Selection,
    /// How many there are.
    pub count: u64,
    /// Absolute path of the binary, or the request that its blocks were made of.
    pub path: String,
}

/// The selected blocks, those of each binary apart, in the order in which the binaries were added.
///
/// # Errors
/// When there are none, or the file that some are of is gone or another one now.
pub fn stored_targets(
    store: &StoreHandle,
    selection: &Selection,
    named: Option<&str>,
) -> Result<Vec<StoredTarget>, SessionError> {
    let scope = scope_of_selection(store, selection, named)?;
    let asked = selection.clone();
    let mut binaries = store.call_and_wait(async move |store| store.binaries_of_blocks(&asked).await)?;
    binaries.retain(|binary| scope.is_none_or(|scope| scope == *binary));
    if binaries.is_empty() {
        return Err(no_such_blocks(selection, named));
    }
    let targets = binaries.into_iter().map(|binary| {
        let asked = selection.clone();
        Ok(StoredTarget {
            binary,
            count: store.call_and_wait(async move |store| store.count_blocks(&asked, Some(binary)).await)?,
            selection: selection.clone(),
            path: source_of_binary(store, binary)?.path(),
        })
    });
    targets.collect()
}

impl StoredTarget {
    /// What the blocks are of, and the blocks.
    ///
    /// # Errors
    /// When the file is gone or another one now, or the database cannot be read.
    pub fn load_source_and_blocks(
        &self,
        store: &StoreHandle,
    ) -> Result<(BlockSource, Vec<StoredBlock>), SessionError> {
        let source = source_of_binary(store, self.binary)?;
        Ok((source, all_pages(store, &self.selection, Some(self.binary))?))
    }
}

/// All selected blocks.
///
/// # Errors
/// When there are none.
pub fn load_blocks(
    store: &StoreHandle,
    selection: &Selection,
    named: Option<&str>,
) -> Result<Vec<StoredBlock>, SessionError> {
    let binary = scope_of_selection(store, selection, named)?;
    let blocks = all_pages(store, selection, binary)?;
    if blocks.is_empty() {
        return Err(no_such_blocks(selection, named));
    }
    Ok(blocks)
}

fn all_pages(
    store: &StoreHandle,
    selection: &Selection,
    binary: Option<BinaryId>,
) -> Result<Vec<StoredBlock>, SessionError> {
    let mut blocks: Vec<StoredBlock> = Vec::new();
    loop {
        let next = page_of_blocks(store, selection, binary, blocks.last().map(|block| block.number))?;
        if next.is_empty() {
            return Ok(blocks);
        }
        blocks.extend(next);
    }
}

fn no_such_blocks(selection: &Selection, named: Option<&str>) -> SessionError {
    let of = named.map_or_else(String::new, |named| format!(" of {named}"));
    let what = if *selection == Selection::all() {
        "are no blocks".to_owned()
    } else {
        format!("is no block {selection}")
    };
    SessionError::NoSuchBlocks {
        what: format!("{what}{of}"),
    }
}

/// What stored blocks come from. Their memory is filled from the file, so it has to be the same to the byte.
///
/// # Errors
/// When it is not, or is not there any more.
pub fn source_of_binary(store: &StoreHandle, binary: BinaryId) -> Result<BlockSource, SessionError> {
    let binary = store
        .call_and_wait(async move |store| store.load_binary(binary).await)?
        .binary;
    if BlockSource::is_generated(&binary) {
        return Ok(BlockSource::generated_as(binary.path));
    }
    let file = BinaryFile::read_file(&read_stored_path(&binary.path)).map_err(|error| {
        SessionError::Gone(FileGone {
            name: binary.name.clone(),
            error: Box::new(error),
        })
    })?;
    if file.sha256() != binary.sha256 {
        return Err(SessionError::Changed {
            name: binary.name,
            path: binary.path,
        });
    }
    Ok(BlockSource::File(file))
}

/// Stores a binary and blocks of it; gives the blocks back, of which there may be millions.
///
/// # Errors
/// When the database cannot take them.
pub fn store_blocks(
    store: &StoreHandle,
    binary: &NewBinary,
    blocks: Vec<Block>,
) -> Result<(Added, Vec<Block>), SessionError> {
    let binary = binary.clone();
    let add = async move |store: &snippex_store::Store| {
        let added = store.add_binary_with_blocks(&binary, &blocks).await?;
        Ok((added, blocks))
    };
    Ok(store.call_and_wait(add)?)
}
