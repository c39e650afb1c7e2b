//! What an engine finds around itself: an empty home of its own, and the server it wants to talk to.
//!
//! FEX always contacts a FEXServer, one for each HOME, and reads its configuration from there: so a run has a home of
//! its own, and one server that lives as long as any engine of the run.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tracing::debug;

use super::EngineSpec;
use super::own_folder::{OwnFolder, add_path_to_error};

/// Time for the server to be ready: engines start one themselves when it is not.
const SERVER_START: Duration = Duration::from_millis(300);
/// Variables that lead into the home, each with the folder there.
const FOLDERS: [(&str, &str); 8] = [
    ("HOME", ""),
    ("XDG_CONFIG_HOME", "config"),
    ("XDG_DATA_HOME", "data"),
    ("XDG_CACHE_HOME", "cache"),
    ("XDG_RUNTIME_DIR", "run"),
    ("FEX_APP_CONFIG_LOCATION", "config/fex/"),
    ("FEX_APP_DATA_LOCATION", "data/fex/"),
    ("FEX_APP_CACHE_LOCATION", "cache/fex/"),
];

/// Goes away with the last engine that uses it.
#[derive(Debug)]
pub(crate) struct Surroundings {
    home: OwnFolder,
    server: Option<Child>,
}

/// By the command of the server.
static CURRENT: Mutex<BTreeMap<Vec<String>, Weak<Surroundings>>> = Mutex::new(BTreeMap::new());

impl Surroundings {
    /// Those that engines like `spec` share; none when it wants none.
    pub(crate) fn get_or_create(spec: &EngineSpec) -> io::Result<Option<Arc<Self>>> {
        if !spec.isolated {
            return Ok(None);
        }
        let key = spec.server.clone().unwrap_or_default();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = current.get(&key).and_then(Weak::upgrade) {
            return Ok(Some(shared));
        }
        let home = OwnFolder::new("home-")?;
        for (_, folder) in FOLDERS {
            let folder = home.path().join(folder);
            std::fs::create_dir_all(&folder)
                .map_err(|error| add_path_to_error("cannot make", &folder, &error))?;
        }
        let mut made = Self { home, server: None };
        made.server = made.start_server(&key);
        let made = Arc::new(made);
        current.insert(key, Arc::downgrade(&made));
        Ok(Some(made))
    }

    /// Sets what leads into the home.
    pub(crate) fn apply_to_command(&self, command: &mut Command) {
        for (variable, folder) in FOLDERS {
            command.env(variable, self.home.path().join(folder));
        }
        // These name files of the user's.
        command.env_remove("FEX_APP_CONFIG").env_remove("FEX_PORTABLE");
    }

    fn start_server(&self, words: &[String]) -> Option<Child> {
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.apply_to_command(&mut command);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                debug!(program, %error, "no server; the engine starts its own");
                return None;
            }
        };
        let deadline = Instant::now() + SERVER_START;
        while Instant::now() < deadline {
            // One that puts itself into the background is as good.
            if let Ok(Some(status)) = child.try_wait() {
                debug!(program, %status, "the server has left the foreground");
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(child)
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // Already gone is as good.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
