//! Which process does a run, so that a run whose process died is not taken for one that still works.
//!
//! On the machine and in the process namespace where it runs, the process itself is looked up. Elsewhere (a
//! partition on another node, another container) the run counts as alive while its heartbeat is fresh. Nothing is
//! ever written to mend a run: its status is worked out whenever it is read.

use std::fs;

use crate::ids::UnixMillis;

/// How old a heartbeat may be before a run on another machine counts as interrupted. Much longer than
/// [`HEARTBEAT`](crate::blocking::HEARTBEAT), because clocks differ and databases are busy.
const LEASE_MS: i64 = 120_000;

/// This process: boot, process namespace, process id, start time in ticks; empty where `/proc` does not tell.
pub(crate) fn this_process() -> String {
    let describe = || {
        Some(format!(
            "{} {} {}",
            place()?,
            std::process::id(),
            start_time(std::process::id())?
        ))
    };
    describe().unwrap_or_default()
}

/// Whether the run of `owner` still works.
pub(crate) fn is_alive(owner: &str, heartbeat: UnixMillis, now: UnixMillis) -> bool {
    looked_up(owner).unwrap_or(now.0.saturating_sub(heartbeat.0) < LEASE_MS)
}

/// The answer of this machine, if the owner is of this machine.
fn looked_up(owner: &str) -> Option<bool> {
    let (rest, started) = owner.rsplit_once(' ')?;
    let (owners_place, process) = rest.rsplit_once(' ')?;
    let process: u32 = process.parse().ok()?;
    (owners_place == place()?).then(|| start_time(process).as_deref() == Some(started))
}

/// Boot and process namespace: where process ids mean the same.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// When a process started, in ticks since boot (field 22 of `/proc/PID/stat`); `None` when it is gone or only
/// waits to be collected by its parent.
fn start_time(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold spaces and parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    #[test]
    fn this_process_is_alive_whatever_its_heartbeat() {
        assert!(is_alive(&this_process(), UnixMillis(0), NOW));
    }

    #[test]
    fn a_reused_process_id_is_not_the_owner() {
        let owner = this_process();
        let (rest, _) = owner.rsplit_once(' ').unwrap();
        assert!(!is_alive(&format!("{rest} 1"), NOW, NOW));
    }

    #[test]
    fn elsewhere_the_heartbeat_decides() {
        for owner in ["", "another-boot pid:[1] 1 5"] {
            assert!(is_alive(owner, UnixMillis(NOW.0 - LEASE_MS + 1), NOW));
            assert!(!is_alive(owner, UnixMillis(NOW.0 - LEASE_MS), NOW));
        }
    }
}
