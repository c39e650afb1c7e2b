//! A PostgreSQL server for the tests: its own data, a free loopback port, gone at the end.
//!
//! The server never runs as root (PostgreSQL refuses to): under root it runs as the user `postgres`
//! that the distribution's package makes. `setpriv --pdeathsig` ties its life to ours, so that it
//! ends even if this process is killed. It has no socket file, and a random password keeps other
//! users of the machine out.

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Failure, install, shell};

/// Environment variables that carry the server's URL to the tests.
pub(crate) const VARIABLES: [&str; 2] = ["SNIPPEX_TEST_POSTGRES", "REGRESSD_TEST_POSTGRES"];

const FOLDER_PREFIX: &str = "snippex-test-postgres-";
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server. Dropping it stops it and deletes its data.
pub(crate) struct Postgres {
    url: String,
    folder: PathBuf,
    server: Child,
}

impl Postgres {
    /// Makes a data folder and starts a server on it; returns once it accepts connections.
    pub(crate) fn start() -> Result<Postgres, Failure> {
        remove_leftovers();
        let folder = std::env::temp_dir().join(format!("{FOLDER_PREFIX}{}", std::process::id()));
        // Refuses a folder that is already there: somebody else may have put it into /tmp for us.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let password = random_hex()?;
        let password_file = folder.join("password");
        std::fs::write(&password_file, &password)
            .map_err(|error| format!("cannot write {}: {error}", password_file.display()))?;
        if shell::is_root() {
            shell::capture(Command::new("chown").arg("-R").arg("postgres:").arg(&folder))?;
        }

        let data = folder.join("data");
        shell::capture(
            as_server_user(&program("initdb")?)
                .args([
                    "--username=snippex",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                ])
                .args(["--no-sync", "--no-instructions"])
                .arg(format!("--pwfile={}", password_file.display()))
                .arg(format!("--pgdata={}", data.display())),
        )?;

        let port = test_kit::free_port();
        let log = std::fs::File::create(folder.join("log"))
            .map_err(|error| format!("cannot write the server's log: {error}"))?;
        let mut command = as_server_user(&program("postgres")?);
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        // Nothing in this database has to survive a power cut.
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        println!("$ {}", shell::words(&command));
        let errors = log
            .try_clone()
            .map_err(|error| format!("cannot write the server's log: {error}"))?;
        let server = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start PostgreSQL: {error}"))?;
        let url = format!("postgres://snippex:{password}@127.0.0.1:{port}/postgres");
        let mut postgres = Postgres { url, folder, server };
        postgres.wait_until_ready(port)?;
        Ok(postgres)
    }

    /// How the tests reach it, as the superuser.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_ready(&mut self, port: u16) -> Result<(), Failure> {
        let ready = program("pg_isready")?;
        let start = Instant::now();
        let said = |folder: &Path| std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        while start.elapsed() < START_LIMIT {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!(
                    "PostgreSQL ended with {status}: {}",
                    said(&self.folder).trim()
                ));
            }
            let mut asked = Command::new(&ready);
            asked
                .args(["--quiet", "--host=127.0.0.1", "--port"])
                .arg(port.to_string());
            if shell::capture(&mut asked).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = said(&self.folder);
        Err(format!(
            "PostgreSQL did not come up in {} s: {}",
            START_LIMIT.as_secs(),
            log.trim()
        ))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // QUIT is PostgreSQL's immediate shutdown: its children end too, nothing is written back.
        let mut quit = Command::new("kill");
        quit.arg("-QUIT").arg(self.server.id().to_string());
        if shell::capture(&mut quit).is_err() {
            self.server.kill().ok();
        }
        self.server.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// `program`, to be run as a user that PostgreSQL accepts, and ended when this process ends.
fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if shell::is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg("--pdeathsig=QUIT").arg(program);
    // PostgreSQL wants a folder that its user may enter.
    command.current_dir("/");
    command
}

fn program(name: &str) -> Result<PathBuf, Failure> {
    install::newest_version("/usr/lib/postgresql", name)
        .or_else(|| shell::find(name))
        .ok_or_else(|| format!("`{name}` is missing: install PostgreSQL's server"))
}

fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes every write");
    }
    Ok(text)
}

/// Deletes data of servers whose starter is gone: it was killed before it could.
fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)) else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, two) = (random_hex().unwrap(), random_hex().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
