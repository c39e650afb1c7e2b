//! Tells a process that computes and gets nowhere, which has hung, from one that is kept waiting.
//!
//! A busy machine gives a process no processor for seconds. And Linux has locked accesses that cross a cache line wait for one
//! another, whoever makes them, ten milliseconds and more each (`split_lock_detect`, Documentation/arch/x86/buslock.rst): such a
//! run is blameless, and takes as long as others keep it waiting.

use std::fs;
use std::time::{Duration, Instant};

/// Processor time without progress, once patience is at an end, that shows that a process computes: no run takes as much.
const COMPUTED: Duration = Duration::from_millis(500);
/// How long a process that does not compute may be kept waiting, unless patience is longer.
const KEPT_WAITING: Duration = Duration::from_secs(30);

/// How long a process has been at one run.
pub(crate) struct Stall {
    run: u32,
    since: Instant,
    /// Processor time of the process when patience was at an end.
    computed: Option<Duration>,
}

impl Stall {
    /// A process that is at `run` now.
    pub(crate) fn new(run: u32) -> Self {
        Self {
            run,
            since: Instant::now(),
            computed: None,
        }
    }

    /// Whether the process with id `process`, at `run` now, has hung: longer than `patience` at this run, and computing.
    pub(crate) fn has_hung(&mut self, run: u32, process: u32, patience: Duration) -> bool {
        if run != self.run {
            *self = Self::new(run);
        }
        let elapsed = self.since.elapsed();
        if elapsed <= patience {
            return false;
        }
        let Some(now) = processor_time(process) else {
            return true;
        };
        let first = *self.computed.get_or_insert(now);
        now.saturating_sub(first) >= COMPUTED || elapsed > patience.max(KEPT_WAITING)
    }
}

/// Processor time of a process and of its children, as far as it can be told.
fn processor_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may have anything in it. Behind it utime and stime are the twelfth and thirteenth (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let own = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1));
    Some(own + children(process).into_iter().filter_map(processor_time).sum())
}

/// Each thread lists the children that it has started.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let children = list.split_whitespace().filter_map(|child| child.parse().ok());
            children.collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    /// A shell with a script, which goes with everything that it has started.
    struct Shell(Child);

    impl Shell {
        fn start(script: &str) -> Self {
            use std::os::unix::process::CommandExt;
            let mut command = Command::new("sh");
            Self(command.args(["-c", script]).process_group(0).spawn().unwrap())
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let group = rustix::process::Pid::from_child(&self.0);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.0.wait();
        }
    }

    fn hangs(script: &str) {
        let shell = Shell::start(script);
        let mut stall = Stall::new(3);
        while !stall.has_hung(3, shell.0.id(), Duration::ZERO) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(stall.since.elapsed() < KEPT_WAITING, "{script}: it waited");
    }

    #[test]
    fn what_computes_has_hung_in_a_child_as_well() {
        hangs("while :; do :; done");
        hangs("(while :; do :; done) & wait");
    }

    #[test]
    fn what_waits_or_gets_on_has_not() {
        let shell = Shell::start("sleep 600");
        let mut stall = Stall::new(3);
        for _ in 0..3 {
            assert!(!stall.has_hung(3, shell.0.id(), Duration::ZERO));
        }
        stall.since -= KEPT_WAITING;
        assert!(stall.has_hung(3, shell.0.id(), Duration::ZERO), "not for ever");
        assert!(!stall.has_hung(4, shell.0.id(), KEPT_WAITING), "it has got on");
    }
}
