//! Flow control: how much one side may still send before the other has taken something off.
//!
//! Without it a slow reader would collect what a fast writer sends, and a blob would hold up every message behind it.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that each side may send before the other has read any.
pub(super) const WINDOW: usize = 16 << 20;

/// What one side may still send.
#[derive(Debug)]
pub(super) struct Credit {
    left: Mutex<Option<usize>>,
    changed: Condvar,
}

impl Default for Credit {
    fn default() -> Self {
        Self {
            left: Mutex::new(Some(WINDOW)),
            changed: Condvar::new(),
        }
    }
}

impl Credit {
    /// Waits until `bytes` may be sent; more than a window waits for a whole one. `false` when the connection has ended.
    pub(super) fn wait_for_credit(&self, bytes: usize) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *left {
                None => return false,
                Some(have) if have >= bytes.min(WINDOW) => {
                    *left = Some(have - bytes.min(have));
                    return true;
                }
                Some(_) => left = self.changed.wait(left).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The other side has taken `bytes` off.
    pub(super) fn add_credit(&self, bytes: usize) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.map(|left| left.saturating_add(bytes).min(WINDOW));
        self.changed.notify_all();
    }

    /// Nobody waits any more.
    pub(super) fn close(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_sender_waits_for_credit_and_goes_on_when_it_is_given() {
        let credit = Arc::new(Credit::default());
        assert!(credit.wait_for_credit(WINDOW - 1));
        let sender = thread::spawn({
            let credit = Arc::clone(&credit);
            move || credit.wait_for_credit(WINDOW * 3)
        });
        credit.add_credit(WINDOW - 1);
        assert!(sender.join().unwrap());
        credit.close();
        assert!(!credit.wait_for_credit(1));
    }
}
