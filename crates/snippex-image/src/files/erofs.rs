//! EROFS, by the crate `erofs-rs`. Its asynchronous form reads through a function, as is wanted here; the other one wants the
//! whole image in memory. What it waits for is always ready.

use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use erofs_rs::r#async::EroFS;
use erofs_rs::backend::AsyncImage;

use crate::ImageError;
use crate::bytes::{Bytes, read_exact_at};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "erofs";

pub(super) struct Erofs(EroFS<Reader>);

impl Erofs {
    pub(super) fn open(bytes: Bytes) -> Result<Self, ImageError> {
        let disk = run_to_end(EroFS::new(Reader(bytes)));
        disk.map(Self).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

impl FileSystem for Erofs {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let damaged = |error| ImageError::damaged(FORMAT, error);
        let mut listing = Listing::default();
        let mut walk = run_to_end(self.0.walk_dir("/")).map_err(damaged)?;
        while let Some(entry) = run_to_end(walk.next_entry()) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    listing.note(error.to_string());
                    break;
                }
            };
            let path = entry.dir_entry.path();
            if matches!(entry.dir_entry.file_name(), b"." | b"..") {
                continue;
            }
            let inode = &entry.inode;
            let kind = if inode.is_dir() {
                NodeKind::Folder
            } else if inode.is_symlink() {
                match run_to_end(self.0.read_link_inode(*inode)) {
                    Ok(target) => NodeKind::Link(target.into_vec()),
                    Err(error) => {
                        listing.note(format!("{}: {error}", path.display()));
                        continue;
                    }
                }
            } else if inode.is_file() {
                NodeKind::File {
                    size: inode.data_size(),
                    executable: Some(inode.permissions().mode() & 0o111 != 0),
                }
            } else {
                continue;
            };
            listing.push(path.as_bytes(), kind, entry.dir_entry.nid(), limits)?;
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let damaged = |error| ImageError::damaged(FORMAT, error);
        let inode = run_to_end(self.0.get_inode(node.handle)).map_err(damaged)?;
        let file = self.0.open_inode_file(inode).map_err(damaged)?;
        read_most(Opened(file), most).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

struct Reader(Bytes);

impl AsyncImage for Reader {
    async fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> erofs_rs::Result<()> {
        read_exact_at(&*self.0, offset, buffer)
            .map_err(|error| erofs_rs::Error::OutOfBounds(error.to_string()))
    }
}

struct Opened<'f>(erofs_rs::r#async::File<'f, Reader>);

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        run_to_end(self.0.read(buffer)).map_err(io::Error::other)
    }
}

/// Runs what never waits.
fn run_to_end<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
