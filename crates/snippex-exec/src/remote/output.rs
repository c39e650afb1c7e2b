//! What several threads write frames to.
//!
//! A thread of its own does the writing. Whoever reads from the other side must never wait for it to read: two sides that both wait
//! to write would wait for ever. What is queued is bounded by credit; frames that need none are small.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::credit::Credit;
use super::frame::{self, Kind};

/// One end of a connection, to be written to.
#[derive(Debug)]
pub(super) struct Output {
    queue: Mutex<Option<Sender<Vec<u8>>>>,
    credit: Arc<Credit>,
    sent: AtomicU64,
}

impl Output {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> io::Result<Self> {
        let (queue, frames) = channel();
        let credit = Arc::new(Credit::default());
        let waiting = Arc::clone(&credit);
        thread::Builder::new().name("writer".into()).spawn(move || {
            write_all(&frames, writer);
            waiting.close();
        })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            credit,
            sent: AtomicU64::new(0),
        })
    }

    /// Queues what a connection begins with.
    pub(super) fn send_hello(&self, greeting: &[u8], hello: &[u8]) {
        let mut bytes = greeting.to_vec();
        bytes.extend(frame::encode_frame(0, Kind::Hello, hello));
        self.queue(bytes);
    }

    /// Sends a frame, when there is credit for it. `false` when nobody reads any more.
    pub(super) fn send_frame(&self, stream: u32, kind: Kind, payload: &[u8]) -> bool {
        self.credit.wait_for_credit(payload.len()) && self.send_now(stream, kind, payload)
    }

    /// The same without waiting for credit: for what is small, and for whoever has to go on reading.
    pub(super) fn send_now(&self, stream: u32, kind: Kind, payload: &[u8]) -> bool {
        self.queue(frame::encode_frame(stream, kind, payload))
    }

    fn queue(&self, bytes: Vec<u8>) -> bool {
        let length = bytes.len() as u64;
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = queue.as_ref().is_some_and(|queue| queue.send(bytes).is_ok());
        if queued {
            self.sent.fetch_add(length, Ordering::Relaxed);
        }
        queued
    }

    /// The other side may send so many bytes in addition.
    pub(super) fn grant_credit(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("frames are shorter than 64 MiB");
        self.send_now(0, Kind::Credit, &bytes.to_le_bytes());
    }

    /// This side may.
    pub(super) fn may_send(&self, bytes: usize) {
        self.credit.add_credit(bytes);
    }

    /// Bytes that were queued, in frames.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Nothing is queued any more, and nobody waits for credit.
    pub(super) fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.credit.close();
    }
}

/// Writes what is queued until that ends, or nobody reads it.
fn write_all(frames: &Receiver<Vec<u8>>, mut writer: Box<dyn Write + Send>) {
    for frame in frames {
        if writer.write_all(&frame).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}
