//! A real sshd on a port of this machine, with keys and a home of its own, behind a relay that can delay, cut and stall.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, is_root};

/// sshd insists on being started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// An sshd that takes one key, and the host `pi` of a settings file that leads to it.
pub(crate) struct SshServer {
    sandbox: Sandbox,
    sshd: Child,
    pub(crate) relay: Relay,
}

impl Drop for SshServer {
    fn drop(&mut self) {
        // What it has started ends with its connections.
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

impl SshServer {
    /// `home` is the home folder on the host; `entry` is added to the host's entry.
    pub(crate) fn start(home: Option<&str>, entry: &str) -> Self {
        Self::start_with(home, entry, "")
    }

    /// A server whose sessions all begin with `session`, a command that in the end runs `$SSH_ORIGINAL_COMMAND`: as a login shell
    /// of another kind does.
    pub(crate) fn start_in_session(session: &str) -> Self {
        Self::start_with(None, "", &format!("ForceCommand {session}\n"))
    }

    fn start_with(home: Option<&str>, entry: &str, more: &str) -> Self {
        assert!(
            Path::new(SSHD).is_file(),
            "this test needs sshd: `cargo xtask test` installs it"
        );
        let sandbox = Sandbox::new();
        let folder = sandbox.path("ssh");
        fs::create_dir(&folder).unwrap();
        let own_home = sandbox.path("far-home");
        fs::create_dir(&own_home).unwrap();
        for name in ["host_key", "user_key", "other_key"] {
            key(&folder.join(name));
        }
        let port = test_kit::free_port();
        let home = home.unwrap_or(own_home.to_str().unwrap());
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host_key\nAuthorizedKeysFile {0}/user_key.pub\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nSetEnv HOME={home} XDG_RUNTIME_DIR=\n{more}",
            folder.display()
        );
        fs::write(folder.join("sshd_config"), text).unwrap();
        if is_root() {
            // Where the server, started by root, locks up the part of it that reads what strangers send.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let sshd = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let relay = Relay::to(port);
        let server = Self { sandbox, sshd, relay };
        server.know(&folder.join("host_key.pub"));
        server.use_key("user_key");
        // Agents are large, and the same for all tests.
        let agents = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agents");
        server.sandbox.file(
            "snippex.toml",
            format!(
                "[hosts.pi]\nssh = \"pi\"\nsilence = 5\nfolder = \"{}\"\n{entry}\n",
                agents.display()
            )
            .as_bytes(),
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{}", server.log());
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// What the server has noted.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.sandbox.path("ssh/log")).unwrap_or_default()
    }

    /// Makes the public key in `file` the one that is known of the host; without any it is unknown.
    pub(crate) fn know(&self, file: &Path) {
        let key = fs::read_to_string(file).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.relay.port);
        fs::write(self.sandbox.path("ssh/known_hosts"), line).unwrap();
    }

    /// Logs in with that key from now on. The settings of the user's own ssh stay out of it.
    pub(crate) fn use_key(&self, name: &str) {
        let folder = self.sandbox.path("ssh");
        self.configure(&format!(
            "IdentityFile {}/{name}\n IdentityAgent none\n IdentitiesOnly yes\n",
            folder.display()
        ));
    }

    /// How ssh logs in and gets there from now on; `hop` is another name of the same server.
    pub(crate) fn configure(&self, settings: &str) {
        let folder = self.sandbox.path("ssh");
        let config = format!(
            "Host hop\n IdentityFile {1}/user_key\n IdentityAgent none\nHost pi\n {settings}\nHost *\n HostName 127.0.0.1\n \
             Port {}\n UserKnownHostsFile {1}/known_hosts\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n",
            self.relay.port,
            folder.display()
        );
        fs::write(folder.join("config"), config).unwrap();
        let shim = self.sandbox.path("ssh/bin/ssh");
        fs::create_dir_all(shim.parent().unwrap()).unwrap();
        let real = which("ssh");
        let script = format!(
            "#!/bin/sh\nexec {} -F {}/config \"$@\"\n",
            real.display(),
            folder.display()
        );
        fs::write(&shim, script).unwrap();
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The program, for which ssh is the one of this server's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        let path = format!(
            "{}:{}",
            self.sandbox.path("ssh/bin").display(),
            std::env::var("PATH").unwrap()
        );
        command.env("PATH", path).env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Processes of agents that this server has started.
    pub(crate) fn agents(&self) -> Vec<u32> {
        descendants(self.sshd.id(), " agent")
    }

    /// Processes of the server that serve one connection each.
    pub(crate) fn connections(&self) -> Vec<u32> {
        descendants(self.sshd.id(), "sshd")
    }
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found
        .find(|path| path.is_file())
        .expect("this test needs ssh: `cargo xtask test` installs it")
}

/// Makes a pair of keys.
pub(crate) fn key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Processes of the ssh program that `command` has started.
pub(crate) fn ssh_programs(command: &Child) -> Vec<u32> {
    descendants(command.id(), "ssh ")
}

/// Processes below `root` whose command line has `word`.
fn descendants(root: u32, word: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        // Each thread lists the children that it has started.
        let threads = fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let children: String = threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
            .collect();
        for child in children.split_whitespace() {
            let child: u32 = child.parse().unwrap();
            open.push(child);
            let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command)
                .replace('\0', " ")
                .contains(word)
            {
                found.push(child);
            }
        }
    }
    found
}

/// Ends a process at once.
pub(crate) fn kill(process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill")
        .args(["-9", &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Passes connections on to a port, late or not at all.
pub(crate) struct Relay {
    pub(crate) port: u16,
    state: Arc<RelayState>,
}

#[derive(Default)]
struct RelayState {
    /// In each direction, in microseconds.
    delay: AtomicU64,
    stalled: AtomicBool,
    passed: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
}

impl Relay {
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(RelayState::default());
        let relayed = Arc::clone(&state);
        thread::spawn(move || {
            for from in listener.incoming() {
                let (Ok(from), Ok(to)) = (from, TcpStream::connect(("127.0.0.1", target))) else {
                    return;
                };
                for stream in [&from, &to] {
                    stream.set_nodelay(true).unwrap();
                    let kept = stream.try_clone().unwrap();
                    relayed.connections.lock().unwrap().push(kept);
                }
                carry(from.try_clone().unwrap(), to.try_clone().unwrap(), &relayed);
                carry(to, from, &relayed);
            }
        });
        Self { port, state }
    }

    /// What arrives is passed on half the round trip later.
    pub(crate) fn set_round_trip(&self, time: Duration) {
        let half = u64::try_from(time.as_micros() / 2).unwrap();
        self.state.delay.store(half, Ordering::Relaxed);
    }

    /// Nothing passes any more, or again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.state.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for stream in self.state.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Bytes that were passed on, in both directions.
    pub(crate) fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::Relaxed)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &Arc<RelayState>) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(4096);
    let sending = Arc::clone(state);
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            while sending.stalled.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
            sending.passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let delay = Duration::from_micros(state.delay.load(Ordering::Relaxed));
            if sender
                .send((Instant::now() + delay, buffer[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
}
