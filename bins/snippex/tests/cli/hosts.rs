//! Engines of other hosts, over a real sshd: the same verdicts as here, whatever happens on the way.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{BASH, Ended, PROGRAM, Sandbox};
use crate::ssh_server::{SshServer, kill, ssh_programs};

fn run(server: &SshServer, arguments: &[&str]) -> Ended {
    Ended::of(&server.command(arguments).output().unwrap())
}

/// What of an answer does not depend on time, machine and way.
fn verdicts(ended: &Ended) -> Vec<Value> {
    let document: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let summary = &document["summary"];
    let names = [
        "runs",
        "completed",
        "faulted",
        "matched",
        "diverged",
        "inconclusive",
        "unsupported",
    ];
    names.iter().map(|name| summary[name].clone()).collect()
}

fn check<'a>(engine: &'a str, program: &'a str, count: &'a str) -> Vec<&'a str> {
    vec![
        "check",
        program,
        "-e",
        engine,
        "-n",
        count,
        "--states",
        "16",
        "--no-reduce",
        "--no-cache",
        "--format",
        "json",
    ]
}

fn here(engine: &str, program: &str, count: &str) -> (Option<i32>, Vec<Value>) {
    let ended = Sandbox::new().run(&check(engine, program, count));
    (ended.code, verdicts(&ended))
}

#[test]
fn a_check_on_a_host_says_what_a_check_here_says_by_either_ssh() {
    let server = SshServer::start(None, "");
    fs::write(
        server.sandbox().path("far-home/.bashrc"),
        "echo You have mail.; stty -a\n",
    )
    .unwrap();
    let direct = here("mock", PROGRAM, "300");
    for client in ["built-in", "command"] {
        let arguments = check("pi/mock", PROGRAM, "300");
        let ended = Ended::of(
            &server
                .command(&arguments)
                .env("SNIPPEX_SSH", client)
                .output()
                .unwrap(),
        );
        assert_eq!(
            (ended.code, verdicts(&ended)),
            direct,
            "{client}: {ended:?} {}",
            server.log()
        );
    }
    let tested = run(&server, &["hosts", "test", "pi"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.contains("pi has an agent of snippex"), "{tested:?}");
    if fs::read_to_string("/proc/self/status")
        .unwrap()
        .contains("Uid:\t0\t")
    {
        // The login shell of root is bash everywhere; what others have is not known.
        assert!(tested.stderr.contains("You have mail."), "{tested:?}");
    }
}

#[test]
fn a_second_check_sends_no_program() {
    let server = SshServer::start(None, "");
    let arguments = check("pi/native", BASH, "1");
    for most in [u64::MAX, 64 << 10] {
        let before = server.relay.passed();
        let ended = run(&server, &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let passed = server.relay.passed() - before;
        assert!(passed <= most, "{passed} bytes");
    }
    let without = [&arguments[..], &["--no-transfer-cache"]].concat();
    let before = server.relay.passed();
    assert_eq!(run(&server, &without).code, Some(0));
    assert!(
        server.relay.passed() - before > 64 << 10,
        "it was kept all the same"
    );
}

#[test]
fn a_wrong_key_of_either_side_is_refused_with_what_to_do() {
    let server = SshServer::start(None, "");
    let arguments = check("pi/native", PROGRAM, "10");
    server.use_key("other_key");
    run(&server, &arguments).refused(&["pi", "takes no key of ours", "ssh-copy-id"]);
    server.use_key("user_key");
    server.know(&server.sandbox().path("ssh/other_key.pub"));
    run(&server, &arguments).refused(&["line 1", "has another", "ssh-keygen -R"]);
    fs::write(server.sandbox().path("ssh/known_hosts"), "").unwrap();
    run(&server, &arguments).refused(&["is not known", "SHA256:", "accept it once by hand: ssh pi"]);
    server.know(&server.sandbox().path("ssh/host_key.pub"));
    let ended = run(&server, &arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

fn here_long() -> (Option<i32>, Vec<Value>) {
    let ended = Sandbox::new().run(&long("native"));
    (ended.code, verdicts(&ended))
}

/// A check that takes a while: 7 MB are sent for its runs.
fn long(engine: &str) -> Vec<&str> {
    let mut arguments = check(engine, BASH, "12000");
    for word in &mut arguments {
        if *word == "16" {
            *word = "64";
        }
    }
    arguments
}

/// Starts it, and gives it back when it is under way.
fn long_check(server: &SshServer, engine: &str) -> Child {
    server.relay.set_round_trip(Duration::from_millis(40));
    let before = server.relay.passed();
    let child = server.command(&long(engine)).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The program was sent, and some batches.
    while server.agents().is_empty() || server.relay.passed() - before < 900_000 {
        assert!(Instant::now() < deadline, "{}", server.log());
        thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn whatever_is_killed_or_cut_costs_batches_and_no_verdict() {
    let direct = here_long();
    let server = SshServer::start(None, "");
    // Each fault, and the seconds that it lasts.
    let faults: [(&str, u64, &dyn Fn()); 4] = [
        ("the agent is killed", 0, &|| {
            server.agents().into_iter().for_each(kill);
        }),
        ("the server's process is killed", 0, &|| {
            server.connections().into_iter().for_each(kill);
        }),
        ("the way is cut", 0, &|| server.relay.cut()),
        ("nothing passes for a minute", 60, &|| {
            server.relay.stall(true);
            thread::sleep(Duration::from_secs(60));
            server.relay.stall(false);
        }),
    ];
    for (what, lasts, fault) in faults {
        let started = Instant::now();
        let child = long_check(&server, "pi/native");
        fault();
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!((ended.code, verdicts(&ended)), direct, "{what}: {ended:?}");
        assert!(started.elapsed() < Duration::from_secs(90 + lasts), "{what}");
    }
}

#[test]
fn a_killed_ssh_program_costs_batches_and_no_verdict() {
    let direct = here_long();
    let server = SshServer::start(None, "client = \"command\"");
    let child = long_check(&server, "pi/native");
    let programs = ssh_programs(&child);
    assert!(!programs.is_empty(), "the system's ssh is at work");
    programs.into_iter().for_each(kill);
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, verdicts(&ended)), direct, "{ended:?}");
}

#[test]
fn a_host_that_stays_away_is_replaced_by_this_machine_or_told() {
    let direct = here_long();
    let server = SshServer::start(None, "reconnect = 3");
    let child = long_check(&server, "pi/native,native");
    server.relay.stall(true);
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, verdicts(&ended)), direct, "{ended:?}");
    server.relay.stall(false);
    let child = long_check(&server, "pi/native");
    server.relay.stall(true);
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("host pi was lost"), "{ended:?}");
}

#[test]
fn a_home_that_cannot_be_written_and_a_damaged_agent_do_no_harm() {
    let server = SshServer::start(Some("/proc/nowhere"), "");
    let settings = server.sandbox().path("snippex.toml");
    let folder = server.sandbox().path("agents");
    fs::write(
        &settings,
        format!("[hosts.pi]\nssh = \"pi\"\nfolder = \"{}\"\n", folder.display()),
    )
    .unwrap();
    let plan = |words: &[&str]| {
        let arguments = [&["hosts", "setup", "pi", "--format", "json"], words].concat();
        let ended = run(&server, &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let before = plan(&["--dry-run"]);
    assert_eq!(before["was_there"], false);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        0,
        "a dry run leaves nothing"
    );
    assert_eq!(plan(&[])["was_there"], false);
    assert_eq!(plan(&[])["was_there"], true);
    let agent = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    // The one that ran just now may still be there: it is replaced, not written over.
    fs::remove_file(&agent).unwrap();
    fs::write(&agent, "#!/bin/sh\necho another version\n").unwrap();
    assert_eq!(plan(&[])["was_there"], false, "it is known by its content");
    // Without the folder of its own it is put where one can be written.
    fs::write(&settings, "[hosts.pi]\nssh = \"pi\"\n").unwrap();
    let elsewhere = plan(&["--dry-run"]);
    let chosen = elsewhere["folder"].as_str().unwrap();
    assert!(chosen.contains("snippex-agent-"), "{chosen}");
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let server = SshServer::start(None, "");
    let arguments = check("pi/native", PROGRAM, "200");
    let children: Vec<Child> = (0..2)
        .map(|number| {
            let mut command = server.command(&arguments);
            let database = server.sandbox().path(&format!("{number}.db"));
            command.env("SNIPPEX_DATABASE", database).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn hosts_are_added_shown_and_removed() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["hosts", "show", "pi"])
        .refused(&["no host called pi", "snippex hosts add pi"]);
    sandbox.ok(&["hosts", "add", "pi", "--ssh", "me@pi:2222", "--client", "command"]);
    sandbox
        .run(&["hosts", "add", "pi", "--ssh", "other"])
        .refused(&["has the host pi already"]);
    for bad in ["qemu-x86_64", "a/b", "a,b", "mock"] {
        sandbox
            .run(&["hosts", "add", bad, "--ssh", "x"])
            .refused(&["cannot be the name of a host"]);
    }
    let shown = sandbox.ok(&["hosts", "show", "pi"]).stdout;
    assert!(
        shown.contains("[hosts.pi]") && shown.contains("ssh = \"me@pi:2222\""),
        "{shown}"
    );
    let listed = sandbox.json(&["hosts", "list"]);
    assert_eq!(listed[0]["client"], "command");
    sandbox.ok(&["hosts", "add", "box", "--exec", "env"]);
    let ended = sandbox.ok(&["hosts", "test", "box"]);
    assert!(ended.stdout.contains("a round trip takes"), "{ended:?}");
    sandbox
        .run(&["engines", "test", "box/fex-emu"])
        .refused(&["on host box", "FEX"]);
    sandbox.ok(&["hosts", "remove", "pi"]);
    assert_eq!(sandbox.json(&["hosts", "list"])[0]["name"], "box");
}
