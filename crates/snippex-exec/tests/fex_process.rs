//! The preset `fex-emu` with programs that behave as FEX's do when they start: found by name in order, slow to start,
//! with a home of their own and one server for all; and an engine that becomes another version in mid-run.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use snippex_exec::engine::{Configuration, Engine, EngineEntry, EngineError, EngineTable, RunnerEngine};
use snippex_formats::conformance::TestProgram;

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    // A name of its own first: a file that is being executed cannot be written.
    let fresh = folder.join(format!("{name}.new"));
    fs::write(&fresh, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&fresh, &path).unwrap();
    path
}

/// The preset, its programs in `folder` instead of on the PATH.
fn table(folder: &Path) -> EngineTable {
    let at = |name: &str| folder.join(name).display().to_string();
    let entry = EngineEntry {
        programs: ["FEX", "FEXInterpreter", "FEXLoader"].map(at).to_vec(),
        version: Some(format!("{} --version", at("FEXGetConfig"))),
        server: Some(format!("{} -f -p 600", at("FEXServer"))),
        configurations: [(
            "both".to_owned(),
            Configuration {
                environment: [("FEX_MAXINST".to_owned(), "1".to_owned())].into(),
                ..Configuration::default()
            },
        )]
        .into(),
        ..EngineEntry::default()
    };
    EngineTable::new([("fex-emu".to_owned(), entry)])
}

fn returns(number: u8) -> TestProgram {
    TestProgram::from_flat_code(vec![0xb8, number, 0, 0, 0, 0xf4])
}

#[test]
fn the_program_the_server_and_the_home_are_as_fex_wants_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let log = root.join("log");
    let log = log.display();
    // Older names are there, too; the newest is taken.
    script(root, "FEXLoader", "exit 9");
    script(root, "FEXInterpreter", "exit 9");
    script(
        root,
        "FEX",
        &format!("echo \"engine $HOME $FEX_MAXINST\" >> {log}\nsleep 0.3\nexec \"$@\""),
    );
    script(root, "FEXGetConfig", "echo FEX-2608");
    script(
        root,
        "FEXServer",
        &format!("echo \"server $HOME $*\" >> {log}\nexec sleep 600"),
    );
    let table = table(root);
    let started = Instant::now();
    let mut plain = RunnerEngine::start(table.resolve_spec("fex-emu").unwrap()).unwrap();
    let mut other = RunnerEngine::start(table.resolve_spec("fex-emu/both").unwrap()).unwrap();
    assert!(started.elapsed() > Duration::from_millis(500), "two slow starts");
    assert_eq!(plain.identity().version, "FEX-2608");
    assert_eq!(other.identity().name, "fex-emu/both");
    assert!(
        other
            .identity()
            .configuration
            .contains(&"FEX_MAXINST=1".to_owned())
    );
    // Many programs in a process: its start is paid once.
    let started = Instant::now();
    let programs: Vec<TestProgram> = (0..200).map(returns).collect();
    assert_eq!(plain.run_programs(&programs).unwrap().len(), 200);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    other.run_programs(&programs[..1]).unwrap();

    let text = fs::read_to_string(root.join("log")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let servers: Vec<_> = lines.iter().filter(|line| line[0] == "server").collect();
    assert_eq!(servers.len(), 1, "{text}");
    assert_eq!(servers[0][2..], ["-f", "-p", "600"]);
    let home = servers[0][1];
    assert_ne!(Some(home.to_owned()), std::env::var("HOME").ok());
    let engines: Vec<_> = lines.iter().filter(|line| line[0] == "engine").collect();
    assert!(engines.iter().all(|line| line[1] == home), "{text}");
    assert_eq!((engines[0][2], engines[1][2]), ("", "1"));
    assert!(Path::new(home).is_dir());
    let home = home.to_owned();
    drop((plain, other));
    assert!(!Path::new(&home).exists(), "the home goes with the last engine");
}

#[test]
fn an_engine_that_becomes_another_version_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    script(root, "FEX", "exec \"$@\"");
    script(root, "FEXGetConfig", "echo FEX-2607");
    let mut engine = RunnerEngine::start(table(root).resolve_spec("fex-emu").unwrap()).unwrap();
    engine.restart().unwrap();
    // Installed anew, the same version.
    script(root, "FEX", "exec \"$@\" # again");
    engine.restart().unwrap();
    script(root, "FEX", "exec \"$@\" # another");
    script(root, "FEXGetConfig", "echo FEX-2608");
    let error = engine.restart().unwrap_err();
    assert!(matches!(&error, EngineError::Changed { before, after, .. }
        if before == "FEX-2607" && after == "FEX-2608"));
    assert!(error.to_string().contains("start again"), "{error}");
}
