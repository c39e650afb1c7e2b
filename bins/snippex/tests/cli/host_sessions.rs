//! Other hosts as they are set up in the world: login shells of all kinds, full and forbidden folders, hosts behind hosts, keys in
//! an agent, several connections; all over a real sshd.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{BASH, Ended, PROGRAM, is_root, needs};
use crate::ssh_server::SshServer;

fn run(server: &SshServer, arguments: &[&str]) -> Ended {
    Ended::of(&server.command(arguments).output().unwrap())
}

/// A short check on the host, which has to find that both are the same processor.
fn works(server: &SshServer, client: &str) {
    let arguments = [
        "check",
        PROGRAM,
        "-e",
        "pi/native",
        "-n",
        "50",
        "--states",
        "4",
        "--no-cache",
    ];
    let mut command = server.command(&arguments);
    let ended = Ended::of(&command.env("SNIPPEX_SSH", client).output().unwrap());
    assert_eq!(ended.code, Some(0), "{client}: {ended:?} {}", server.log());
}

#[test]
fn a_login_shell_may_be_any_and_print_what_it_likes() {
    for (shell, rc, word) in [
        ("fish", ".config/fish/config.fish", "noise of fish"),
        ("tcsh", ".tcshrc", "noise of tcsh"),
    ] {
        needs(shell);
        let server = SshServer::start_in_session(&format!("{shell} -c \"$SSH_ORIGINAL_COMMAND\""));
        let rc = server.sandbox().path("far-home").join(rc);
        fs::create_dir_all(rc.parent().unwrap()).unwrap();
        fs::write(rc, format!("echo {word}\n")).unwrap();
        for client in ["built-in", "command"] {
            works(&server, client);
        }
        let tested = run(&server, &["hosts", "test", "pi"]);
        assert_eq!(tested.code, Some(0), "{shell}: {tested:?}");
        assert!(tested.stderr.contains(word), "{shell}: {tested:?}");
    }
}

/// A session in a namespace of its own, in which `mounts` were mounted.
fn session_with(mounts: &str) -> String {
    let root = if is_root() { "" } else { "--map-root-user " };
    format!("unshare {root}--mount sh -c '{mounts} exec sh -c \"$SSH_ORIGINAL_COMMAND\"'")
}

/// Has no folder of its own for agents on the host, or that one.
fn put_agents(server: &SshServer, folder: Option<&str>) {
    let folder = folder
        .map(|folder| format!("folder = \"{folder}\"\n"))
        .unwrap_or_default();
    fs::write(
        server.sandbox().path("snippex.toml"),
        format!("[hosts.pi]\nssh = \"pi\"\nsilence = 5\n{folder}"),
    )
    .unwrap();
}

#[test]
fn folders_that_execute_nothing_are_passed_over_and_a_full_one_is_told() {
    // What is mounted is seen by the session alone.
    let noexec = "mount -t tmpfs -o noexec tmpfs \"$HOME\" && mount -t tmpfs -o noexec tmpfs /tmp &&";
    let server = SshServer::start_in_session(&session_with(noexec));
    put_agents(&server, None);
    let planned = run(
        &server,
        &["hosts", "setup", "pi", "--dry-run", "--format", "json"],
    );
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let folder = plan["folder"].as_str().unwrap();
    assert!(folder.starts_with("/var/tmp/snippex-agent-"), "{folder}");

    let full = "mount -t tmpfs -o size=64k tmpfs \"$HOME\" &&";
    let server = SshServer::start_in_session(&session_with(full));
    let home = server.sandbox().path("far-home");
    put_agents(&server, home.to_str());
    run(&server, &["hosts", "setup", "pi"]).refused(&["did not arrive whole", "full?"]);

    let nothing = "for folder in \"$HOME\" /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec tmpfs \"$folder\"; done;";
    let server = SshServer::start_in_session(&session_with(nothing));
    put_agents(&server, None);
    run(&server, &["hosts", "setup", "pi"]).refused(&["no folder where programs can be put"]);
}

#[test]
fn a_host_behind_another_is_reached_by_either_ssh() {
    let server = SshServer::start(None, "");
    let key = server.sandbox().path("ssh/user_key");
    server.configure(&format!(
        "ProxyJump hop\n IdentityFile {}\n IdentityAgent none\n",
        key.display()
    ));
    for client in ["built-in", "command"] {
        works(&server, client);
        assert!(
            server.log().contains("direct-tcpip") || server.log().matches("Accepted publickey").count() >= 2
        );
    }
}

/// An agent of keys, which ends with the test.
struct KeyAgent(Child);

impl Drop for KeyAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl KeyAgent {
    fn start(socket: &Path) -> Self {
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(socket)
            .stdout(Stdio::null())
            .spawn();
        let agent = Self(child.unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        // The file is there before anybody listens.
        while UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < deadline, "ssh-agent does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        agent
    }
}

#[test]
fn keys_that_only_an_agent_holds_log_in() {
    let server = SshServer::start(None, "");
    let folder = server.sandbox().path("ssh");
    let socket = folder.join("agent.socket");
    let _agent = KeyAgent::start(&socket);
    let added = Command::new("ssh-add")
        .args(["-q"])
        .arg(folder.join("user_key"))
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.unwrap().success());
    // The agent alone has the private part.
    fs::remove_file(folder.join("user_key")).unwrap();
    let key = folder.join("user_key.pub");
    for settings in [
        format!("IdentityAgent {}\n", socket.display()),
        format!(
            "IdentityAgent {}\n IdentitiesOnly yes\n IdentityFile {}\n",
            socket.display(),
            key.display()
        ),
    ] {
        server.configure(&settings);
        for client in ["built-in", "command"] {
            works(&server, client);
        }
    }
    let other = folder.join("other_key.pub");
    server.configure(&format!(
        "IdentityAgent {}\n IdentitiesOnly yes\n IdentityFile {}\n",
        socket.display(),
        other.display()
    ));
    let arguments = ["check", PROGRAM, "-e", "pi/native"];
    run(&server, &arguments).refused(&["takes no key of ours"]);
}

/// Starts a long check, and gives it back when agents are at work.
fn long_check(server: &SshServer, more: &[&str]) -> Child {
    server.relay.set_round_trip(Duration::from_millis(40));
    let arguments = [
        "check",
        BASH,
        "-e",
        "pi/native",
        "--no-reduce",
        "--no-cache",
        "--format",
        "json",
    ];
    let child = server.command(&[&arguments[..], more].concat()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.agents().is_empty() || server.relay.passed() < 900_000 {
        assert!(Instant::now() < deadline, "{}", server.log());
        thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_pool_has_as_many_connections_as_are_asked_for() {
    let server = SshServer::start(None, "");
    let accepted = || server.log().matches("Accepted publickey").count();
    // The second is a million runs, without a new connection.
    for (size, blocks, least_runs, connections) in [("3", "8000", 500_000, 3), ("1", "16000", 1_000_000, 1)] {
        let before = accepted();
        let ended = Ended::of(
            &long_check(&server, &["--pool-size", size, "-n", blocks])
                .wait_with_output()
                .unwrap(),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(accepted() - before, connections, "{}", server.log());
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        let runs = document["summary"]["runs"].as_u64().unwrap();
        assert!(runs >= least_runs, "{runs}");
    }
}

/// Whether a process has a handler for SIGINT: until its engines are there, an interrupt ends it at once.
fn catches_interrupts(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 0b10 != 0
}

#[test]
fn an_interrupt_ends_the_check_and_leaves_no_agent_behind() {
    let server = SshServer::start(None, "");
    let child = long_check(&server, &["-n", "8000"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !catches_interrupts(&child) {
        assert!(Instant::now() < deadline, "the check does not begin");
        thread::sleep(Duration::from_millis(5));
    }
    let told = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["summary"]["complete"], false, "what was found is told");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !server.agents().is_empty() {
        assert!(Instant::now() < deadline, "an agent is still there");
        thread::sleep(Duration::from_millis(20));
    }
}
