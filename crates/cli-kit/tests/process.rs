//! What only a whole process shows: signals, closed pipes, full disks, exit codes.
//!
//! The test program starts itself again as a small command (`command`, below), chosen by [`ROLE`].

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of these tests fail as the tests do"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cli_kit::{ExitStatus, Failure, OutputArgs, on_interrupt};

const ROLE: &str = "CLI_KIT_TEST_ROLE";

/// Not a test: what the tests start.
#[test]
#[ignore = "started by the other tests, as a process of its own"]
fn command() {
    let role = std::env::var(ROLE).expect("only the other tests start this");
    // The test harness itself writes to standard output, and would stop over a full one.
    let output = (role == "many lines, full disk").then(|| "/dev/full".into());
    let args = OutputArgs {
        output,
        ..OutputArgs::default()
    };
    let code = cli_kit::run_command(&args, |printer| match role.as_str() {
        "many lines" | "many lines, full disk" => {
            for number in 0..200_000 {
                printer.print_line(number)?;
                if printer.reader_is_gone() {
                    return Ok(ExitStatus::Found);
                }
            }
            Ok(ExitStatus::NothingFound)
        }
        "obeys" => {
            let cancelled = on_interrupt("keeping what is finished; once more ends at once")?;
            printer.print_note("ready");
            while !cancelled.is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Failure::interrupted("stopped after 3 of 8 runs").hint("run again to go on"))
        }
        "does not obey" => {
            on_interrupt("once more ends at once")?;
            printer.print_note("ready");
            loop {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        other => Err(Failure::new(format!("no role {other}"))),
    });
    // ExitCode does not tell its number, but it can be compared.
    let number = (0..=255u8).find(|&number| ExitCode::from(number) == code);
    std::process::exit(number.map_or(255, i32::from));
}

fn start(role: &str, stdout: Stdio) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "command", "--ignored", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}

fn wait_for(stderr: &mut BufReader<ChildStderr>, wanted: &str) {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        assert_ne!(
            stderr.read_line(&mut line).unwrap(),
            0,
            "the command ended before it said `{wanted}`"
        );
    }
}

fn rest(mut stderr: impl Read) -> String {
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = start("many lines", Stdio::piped());
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    drop(reader);
    assert_eq!(rest(child.stderr.take().unwrap()), "");
    assert_eq!(
        child.wait().unwrap().code(),
        Some(1),
        "1 is what the command answers when the reader is gone"
    );
}

#[test]
fn a_full_disk_is_an_error_on_one_line() {
    let mut child = start("many lines, full disk", Stdio::null());
    let said = rest(child.stderr.take().unwrap());
    assert!(said.contains("error: cannot write to /dev/full: "), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn the_first_interrupt_lets_the_command_end_in_order() {
    for name in ["INT", "TERM"] {
        let mut child = start("obeys", Stdio::null());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        wait_for(&mut stderr, "ready");
        signal(&child, name);
        let said = rest(stderr);
        assert!(
            said.contains("error: stopped after 3 of 8 runs\nhint: run again to go on\n"),
            "{said}"
        );
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn the_second_interrupt_ends_at_once() {
    let mut child = start("does not obey", Stdio::null());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut stderr, "ready");
    signal(&child, "INT");
    wait_for(&mut stderr, "interrupted: once more ends at once");
    assert_eq!(child.try_wait().unwrap(), None, "one signal does not end it");
    let start = Instant::now();
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
