//! What several threads write frames to.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::credit::Credit;
use super::frame::{self, Kind};

/// One end of a connection, to be written to.
pub(super) struct Output {
    writer: Mutex<Option<Box<dyn Write + Send>>>,
    credit: Credit,
    sent: AtomicU64,
}

impl Output {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self {
            writer: Mutex::new(Some(writer)),
            credit: Credit::default(),
            sent: AtomicU64::new(0),
        }
    }

    /// Writes what a connection begins with.
    pub(super) fn begin(&self, greeting: &[u8], hello: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.as_mut() {
            writer.write_all(greeting)?;
            frame::write(writer.as_mut(), 0, Kind::Hello, hello)?;
        }
        Ok(())
    }

    /// Sends a frame, when there is credit for it. `false` when nobody reads any more.
    pub(super) fn send(&self, stream: u32, kind: Kind, payload: &[u8]) -> bool {
        if kind.needs_credit() && !self.credit.take(payload.len()) {
            return false;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = writer
            .as_mut()
            .is_some_and(|writer| frame::write(writer.as_mut(), stream, kind, payload).is_ok());
        if sent {
            let bytes = frame::length(payload.len());
            self.sent.fetch_add(bytes, Ordering::Relaxed);
        } else {
            *writer = None;
            self.credit.close();
        }
        sent
    }

    /// As [`Output::send`] for a frame that may be left out when another thread is writing just now.
    pub(super) fn send_if_idle(&self, kind: Kind) {
        if let Ok(mut writer) = self.writer.try_lock()
            && let Some(writer) = writer.as_mut()
        {
            // The reading side finds out that the connection is gone.
            let _ = frame::write(writer.as_mut(), 0, kind, &[]);
        }
    }

    /// The other side may send so many bytes in addition.
    pub(super) fn took(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("frames are shorter than 64 MiB");
        self.send(0, Kind::Credit, &bytes.to_le_bytes());
    }

    /// This side may.
    pub(super) fn may_send(&self, bytes: usize) {
        self.credit.give(bytes);
    }

    /// Bytes that were sent, in frames.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Nothing is sent any more, and nobody waits for credit. A thread that is writing just now goes on until that fails.
    pub(super) fn close(&self) {
        self.credit.close();
        if let Ok(mut writer) = self.writer.try_lock() {
            *writer = None;
        }
    }
}
