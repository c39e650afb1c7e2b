//! Where threads and engine processes run.
//!
//! A thread and the process of its engine take turns. Left to itself the scheduler puts them on different cores, and
//! what one has written the other fetches from there: on a quiet core each finds it in its own cache, which makes a
//! native run 1.3 times as fast.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Keeps the calling thread, and with it the processes of the engines that it uses, on the CPU that it is on.
/// Does nothing where that is not allowed.
pub fn stay_here() {
    let mut here = CpuSet::new();
    let cpu = sched_getcpu();
    if cpu < CpuSet::MAX_CPU {
        here.set(cpu);
        // A hint only.
        let _ = sched_setaffinity(None, &here);
    }
}

/// The CPUs for `threads` workers, one each; `None` when there are more CPUs than workers, so that choosing is better
/// left to the scheduler, which knows what else runs.
pub(crate) fn one_each(threads: usize) -> Option<Vec<CpuSet>> {
    let allowed = sched_getaffinity(None).ok()?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    if cpus.is_empty() || threads < cpus.len() {
        return None;
    }
    let only = |thread: usize| {
        let mut one = CpuSet::new();
        one.set(cpus[thread % cpus.len()]);
        one
    };
    Some((0..threads).map(only).collect())
}

/// Keeps the calling thread on these CPUs.
pub(crate) fn stay_on(cpus: &CpuSet) {
    // A hint only.
    let _ = sched_setaffinity(None, cpus);
}

/// Where a process was last told to run.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    cpus: Option<CpuSet>,
}

impl Follower {
    /// Has the process `pid` run where the calling thread may run.
    pub(crate) fn pin_process(&mut self, pid: u32) {
        let Ok(cpus) = sched_getaffinity(None) else { return };
        if self.cpus.as_ref() != Some(&cpus)
            && let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            // A hint only.
            let _ = sched_setaffinity(Some(process), &cpus);
            self.cpus = Some(cpus);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_spread_over_all_cpus() {
        let allowed = sched_getaffinity(None).unwrap();
        let count = allowed.count() as usize;
        let sets = one_each(2 * count).unwrap();
        for (first, second) in sets[..count].iter().zip(&sets[count..]) {
            assert_eq!(first, second);
            assert_eq!(first.count(), 1);
        }
        let all = (0..CpuSet::MAX_CPU).filter(|&cpu| sets.iter().any(|set| set.is_set(cpu)));
        assert_eq!(all.count(), count);
        assert!(one_each(count - 1).is_none());
    }

    #[test]
    fn a_process_follows_its_thread() {
        std::thread::spawn(|| {
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            stay_here();
            Follower::default().pin_process(child.id());
            let pid = Pid::from_raw(child.id() as i32);
            assert_eq!(sched_getaffinity(pid).unwrap(), sched_getaffinity(None).unwrap());
            assert_eq!(sched_getaffinity(pid).unwrap().count(), 1);
            child.kill().unwrap();
            child.wait().unwrap();
        })
        .join()
        .unwrap();
    }
}
