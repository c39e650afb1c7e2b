//! The far side: engines of this machine for a host that is elsewhere.
//!
//! One thread reads what the host asks, each engine has a thread a CPU, and all answer on one output. An agent serves one
//! connection, and ends with it.

mod engines;
mod session;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::frame::{GREETING, Kind};
use super::message::{AgentInfo, PROTOCOL, encode_message};
use super::output::Output;
use session::Session;
pub(super) use session::credit_of;

/// How often the agent says that it is there.
pub(super) const PULSE: Duration = Duration::from_secs(2);

/// What an agent is told when it starts.
#[derive(Clone, Debug, Default)]
pub struct AgentOptions {
    /// Folder for programs that hosts have sent; without one they are kept in memory only.
    pub blobs: Option<PathBuf>,
}

/// Serves the host at the other end of `input` and `output` until it hangs up.
///
/// # Errors
/// When the other end is no host, or the connection breaks.
pub fn serve_host(
    input: &mut (dyn Read + Send),
    output: Box<dyn Write + Send>,
    options: &AgentOptions,
) -> io::Result<()> {
    let output = Arc::new(Output::new(output)?);
    output.send_hello(&GREETING, &encode_message(&about_this()?));
    let pulse = {
        let output = Arc::clone(&output);
        // Ends with the process at the latest, or when nobody reads any more.
        move || {
            while output.send_now(0, Kind::Pulse, &[]) {
                thread::sleep(PULSE);
            }
        }
    };
    thread::Builder::new().name("pulse".into()).spawn(pulse)?;
    let done = Session::new(Arc::clone(&output), options).serve_requests(input);
    output.close();
    done
}

/// What this program and machine are.
fn about_this() -> io::Result<AgentInfo> {
    let system = rustix::system::uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    Ok(AgentInfo {
        protocol: PROTOCOL,
        sha256: own_digest()?,
        snippex: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        kernel: format!("{} {}", word(system.sysname()), word(system.release())),
        page_size: u32::try_from(rustix::param::page_size()).unwrap_or(0),
        cpus: thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
    })
}

/// SHA-256 of the program that runs.
pub(super) fn own_digest() -> io::Result<[u8; 32]> {
    let mut file = File::open("/proc/self/exe")?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}
