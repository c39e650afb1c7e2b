//! Runs in processes of their own: they meet nothing that others have left, and end alone.
#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;
use snippex_core::state::MachineState;
use snippex_exec::engine::{Engine, EngineError, EngineSpec, MemoryMode, RunnerEngine};
use snippex_exec::{Results, RunOutcome};
use tempfile::TempDir;

const ADDRESS: u64 = 0x1000;
const PLACEMENT: Placement = Placement {
    image_base: 0x2_0000_0000,
    code_base: 0x2_4000_0000,
};

fn case(terminator: Terminator, bytes: &[u8], rdi: u64) -> Group {
    let block = Block {
        address: ADDRESS,
        bytes: bytes.to_vec(),
        instruction_count: 1,
        terminator,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    let mut state = MachineState::default();
    state.gpr[7] = rdi;
    Group::from_case(&Case {
        block: Arc::new(block),
        placement: PLACEMENT,
        state,
        pages: [].into(),
    })
}

/// Counts in memory of the runner's own, which no case has and nothing puts back.
fn count() -> Group {
    // inc qword [rdi]; mov rax, [rdi]
    let bytes = [0x48, 0xff, 0x07, 0x48, 0x8b, 0x07];
    case(Terminator::FallThrough, &bytes, unused_memory_of_the_runner())
}

/// The middle of its largest writable segment, which is that of a signal stack.
fn unused_memory_of_the_runner() -> u64 {
    let elf = snippex_runner::RUNNER;
    let word = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let (headers, size, number) = (word(32) as usize, half(54), half(56));
    let segments = (0..number).map(|index| headers + index * size);
    let writable = segments.filter(|&at| word(at) as u32 == 1 && (word(at) >> 32) & 2 != 0);
    let largest = writable.max_by_key(|&at| word(at + 40)).unwrap();
    assert!(word(largest + 40) > 0x1_0000);
    (word(largest + 16) + word(largest + 40) / 2) & !7
}

/// `jmp rdi`, to itself.
fn endless() -> Group {
    let target = PLACEMENT.code_base + ADDRESS;
    case(Terminator::IndirectJmp, &[0xff, 0xe7], target)
}

fn counted(results: Result<Results<'_>, EngineError>) -> u64 {
    match results.unwrap().outcome(0, 0) {
        RunOutcome::Ran(observation) => observation.state.gpr[0],
        RunOutcome::Unsupported(reason) => panic!("{reason}"),
    }
}

fn ended(results: Result<Results<'_>, EngineError>) -> Endpoint {
    results.unwrap().endpoint(0, 0).unwrap()
}

fn qemu() -> EngineSpec {
    EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does")
}

/// An engine whose processes are noted when they start.
struct Noted {
    engine: RunnerEngine,
    log: PathBuf,
    _folder: TempDir,
}

impl Noted {
    /// Each is started by a shell that does `before` and then `start`.
    fn start(before: &str, start: &str, change: impl FnOnce(&mut EngineSpec)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = format!("echo $$ >> {}; {before}; {start}", log.display());
        let mut spec = EngineSpec::from_command("noted", &format!("sh -c '{script}' {{runner}}")).unwrap();
        change(&mut spec);
        Self {
            engine: RunnerEngine::start(spec).unwrap(),
            log,
            _folder: folder,
        }
    }

    fn native() -> Self {
        Self::start(":", "exec \"$0\" \"$@\"", |_| ())
    }

    /// Ids of the processes that were started, in that order.
    fn processes(&self) -> Vec<u32> {
        started(&self.log)
    }
}

fn started(log: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// State and parent of each process.
fn all_processes() -> Vec<(u32, char, u32)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        Some((id, words.next()?.chars().next()?, words.next()?.parse().ok()?))
    };
    entries.filter_map(read).collect()
}

fn is_alive(id: u32) -> bool {
    let of = |&(other, state, _): &(u32, char, u32)| other == id && state != 'Z';
    all_processes().iter().any(of)
}

/// Does `work` while looking which children the processes in `log` have.
fn children_during<T>(log: &Path, work: impl FnOnce() -> T) -> (T, BTreeSet<u32>) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut children = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let parents = started(log);
                let ours = all_processes().into_iter();
                children.extend(
                    ours.filter(|(_, _, parent)| parents.contains(parent))
                        .map(|(id, ..)| id),
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            children
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, watcher.join().unwrap())
    })
}

#[test]
fn a_fresh_run_meets_nothing_and_leaves_nothing() {
    let copying = EngineSpec {
        memory: MemoryMode::Copy,
        ..EngineSpec::native()
    };
    let wrapped = EngineSpec::from_command("mine", "env A=b {runner}").unwrap();
    for spec in [EngineSpec::native(), copying, wrapped, qemu()] {
        let groups = [count()];
        let mut engine = RunnerEngine::start(spec).unwrap();
        assert_eq!(counted(engine.run(&groups)), 1);
        assert_eq!(counted(engine.run(&groups)), 2, "it stays in the process");
        assert_eq!(counted(engine.run_fresh(&groups)), 1);
        assert_eq!(counted(engine.run_fresh(&groups)), 1);
        assert_eq!(
            counted(engine.run(&groups)),
            3,
            "nothing has happened to the process"
        );
        engine.restart().unwrap();
        assert_eq!(counted(engine.run(&groups)), 1);
        assert_eq!(counted(engine.run_fresh(&groups)), 1);
    }
}

#[test]
fn fresh_runs_start_one_process_in_all() {
    let mut noted = Noted::native();
    for _ in 0..5 {
        assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
    }
    let processes = noted.processes();
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|&process| is_alive(process)));
    drop(noted);
    assert!(!processes.into_iter().any(is_alive));
}

#[test]
fn a_fresh_run_that_does_not_end_is_ended_with_its_process() {
    let mut noted = Noted::start(":", "exec \"$0\" \"$@\"", |spec| {
        spec.patience = Duration::from_millis(300);
    });
    assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
    let log = noted.log.clone();
    let (end, children) = children_during(&log, || ended(noted.engine.run_fresh(&[endless()])));
    assert_eq!(end, Endpoint::Hung);
    assert!(!children.is_empty());
    assert!(!children.into_iter().any(is_alive));
    assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
    assert_eq!(counted(noted.engine.run(&[count()])), 1);
}

#[test]
fn what_a_wrapper_has_started_goes_with_it() {
    // Without `exec` the runner is a child of the shell.
    let mut noted = Noted::start(":", "\"$0\" \"$@\"; true", |spec| {
        spec.patience = Duration::from_millis(300);
    });
    let log = noted.log.clone();
    let (end, children) = children_during(&log, || ended(noted.engine.run(&[endless()])));
    assert_eq!(end, Endpoint::Hung);
    assert!(!children.is_empty());
    assert!(!children.into_iter().any(is_alive));
    assert_eq!(counted(noted.engine.run(&[count()])), 1);
}

#[test]
fn a_fresh_run_that_is_killed_by_a_signal_has_that_signal() {
    const SIGXCPU: i32 = 24;
    let emulated = format!("exec {} \"$0\" \"$@\"", qemu().command[0]);
    for start in ["exec \"$0\" \"$@\"", &emulated] {
        // A second of processor time.
        let mut noted = Noted::start("ulimit -St 1", start, |_| ());
        let end = ended(noted.engine.run_fresh(&[endless()]));
        let signal = Some(SIGXCPU);
        assert_eq!(end, Endpoint::EngineDied { signal });
        // The one for batches, the parent, and one that was started to make sure.
        let processes = noted.processes();
        assert_eq!(processes.len(), 3);
        assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
        assert_eq!(noted.processes(), processes, "the parent is still there");
    }
}

#[test]
fn a_fresh_run_that_damages_the_runner_harms_no_other() {
    let canary = 0x7010_0000 + std::mem::offset_of!(snippex_runner::layout::Header, canary) as u64;
    let capture = 0x7010_0000 + std::mem::offset_of!(snippex_runner::layout::Header, capture) as u64;
    for spec in [EngineSpec::native(), qemu()] {
        let mut engine = RunnerEngine::start(spec).unwrap();
        assert_eq!(counted(engine.run(&[count()])), 1);
        let died = Endpoint::EngineDied { signal: None };
        // Where exits lead to is not missed, but no other run may be led astray.
        for (address, expected) in [(canary, Some(died)), (capture, None)] {
            // mov [rdi], rdi
            let guilty = [case(Terminator::FallThrough, &[0x48, 0x89, 0x3f], address)];
            let end = engine.run_fresh(&guilty).unwrap().endpoint(0, 0);
            assert!(expected.is_none() || expected == end, "{end:?}");
            assert_eq!(counted(engine.run_fresh(&[count()])), 1);
        }
        // jmp rdi, into the runner's own headers, which are not executable
        let guilty = [case(Terminator::IndirectJmp, &[0xff, 0xe7], 0x7000_0000)];
        let end = engine.run_fresh(&guilty).unwrap().endpoint(0, 0);
        assert_eq!(end, None, "the runner's fault says nothing about the engine");
        assert_eq!(counted(engine.run_fresh(&[count()])), 1);
        engine.run(&[count()]).unwrap();
    }
}

/// A program that runs another one for which `fork` returns the negative of a number.
const NO_FORK: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[1])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 99;
    execv(argv[2], argv + 2);
    return 98;
}
"#;

#[test]
fn an_engine_that_cannot_fork_starts_a_process_for_each_fresh_run() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("no-fork.c"), folder.path().join("no-fork"));
    std::fs::write(&source, NO_FORK).unwrap();
    let compiled = Command::new("gcc")
        .args([&source, Path::new("-o"), &program])
        .status();
    assert!(compiled.expect("install gcc: cargo xtask test does").success());
    // It says so (ENOSYS), or makes the parent believe that it is the child.
    for returned in [38, 0] {
        let start = format!("exec {} {returned} \"$0\" \"$@\"", program.display());
        let mut noted = Noted::start(":", &start, |_| ());
        assert_eq!(counted(noted.engine.run(&[count()])), 1);
        assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
        assert_eq!(
            noted.processes().len(),
            2,
            "it was tried when the first one started"
        );
        assert_eq!(counted(noted.engine.run_fresh(&[count()])), 1);
        assert_eq!(noted.processes().len(), 3, "it is not tried again");
        assert_eq!(counted(noted.engine.run(&[count()])), 2);
    }
}

#[test]
fn many_groups_can_share_a_fresh_process() {
    for spec in [EngineSpec::native(), qemu()] {
        let mut engine = RunnerEngine::start(spec).unwrap();
        let elsewhere = |index: u64| {
            let mut group = count();
            group.placement.code_base += 0x1_0000 * index;
            group
        };
        let groups: Vec<Group> = (0..3).map(elsewhere).collect();
        for _ in 0..2 {
            let results = engine.run_fresh(&groups).unwrap();
            let counts: BTreeSet<u64> = (0..3)
                .map(|index| match results.outcome(index, 0) {
                    RunOutcome::Ran(observation) => observation.state.gpr[0],
                    RunOutcome::Unsupported(reason) => panic!("{reason}"),
                })
                .collect();
            assert_eq!(counts, [1, 2, 3].into());
        }
    }
}
