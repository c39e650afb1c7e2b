//! Ctrl-C and a closed terminal: the first asks the command to stop and keep what it has, the second ends it at once.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::style::WARNING;
use crate::{ExitStatus, Failure, OrFail};

/// Says whether the work should stop. Clones speak of the same work.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    #[must_use]
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the work should stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for libraries that take one.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP set the token, and `message` is printed to standard error; the
/// second such signal ends the process at once with code 130. A SIGHUP that was ignored from the start, as under
/// `nohup`, stays ignored. Call it once, early in `main`.
///
/// # Errors
/// When the system does not take the handlers.
pub fn on_interrupt(message: &'static str) -> Result<CancelToken, Failure> {
    let token = CancelToken::new();
    let failed = "cannot handle Ctrl-C";
    let handled = handled_signals();
    let mut signals = Signals::new(&handled).or_fail(failed)?;
    for signal in handled {
        // The order matters: the handler that ends the process looks at the flag first, so that it
        // acts on the second signal, even when every thread of ours is stuck.
        let code = i32::from(ExitStatus::Interrupted.code());
        flag::register_conditional_shutdown(signal, code, token.flag()).or_fail(failed)?;
        flag::register(signal, token.flag()).or_fail(failed)?;
    }
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            // Not by the printer: whoever holds that may be what the user wants to get out of.
            if signals.forever().next().is_some() {
                let mut other = anstream::stderr();
                // After a hang-up there may be no terminal to write to, and nobody to tell so.
                drop(writeln!(other, "\n{WARNING}interrupted{WARNING:#}: {message}"));
            }
        })
        .or_fail(failed)?;
    Ok(token)
}

/// A deadly signal has come, and another thread ends the process by it.
static ENDS_BY_SIGNAL: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Waits for the end if a deadly signal has come: nothing the command could say counts any more.
pub(crate) fn leave_end_to_signal() {
    while ENDS_BY_SIGNAL.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// From now on the first of SIGINT, SIGTERM and SIGHUP runs `clean` and then ends the process as it would have without. For
/// commands that have nothing to keep when they are stopped, in place of [`on_interrupt`].
///
/// # Errors
/// When the system does not take the handlers.
pub fn before_deadly_signal(clean: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let failed = "cannot handle Ctrl-C";
    let handled = handled_signals();
    for signal in &handled {
        // By the handler itself, before anything else goes on: what the signal interrupts or what is cleaned away may fail the command,
        // and that is not the end that was asked for.
        flag::register(*signal, Arc::clone(&ENDS_BY_SIGNAL)).or_fail(failed)?;
    }
    let mut signals = Signals::new(handled).or_fail(failed)?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                clean();
                if low_level::emulate_default_handler(signal).is_err() {
                    low_level::exit(ExitStatus::Interrupted.code().into());
                }
            }
        })
        .or_fail(failed)?;
    Ok(())
}

/// The signals by which users and systems end a program.
fn handled_signals() -> Vec<i32> {
    let mut handled = vec![SIGINT, SIGTERM];
    if !ignores_hangup() {
        handled.push(SIGHUP);
    }
    handled
}

/// Whether whoever started this process lets it ignore SIGHUP. The system says so in a mask of signals, the first of
/// which is SIGHUP.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_state() {
        let token = CancelToken::new();
        let other = token.clone();
        assert!(!other.is_cancelled());
        token.cancel();
        assert!(other.is_cancelled() && other.flag().load(Ordering::SeqCst));
    }
}
